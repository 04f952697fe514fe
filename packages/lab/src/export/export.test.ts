// A trained model, written as a Hugging Face folder and as GGUF and loaded by the engine again, gives the
// logits of the training forward; a layer list that a published family can express becomes that family. The
// GGUF file is the one that `quantize` makes of the folder.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { loadModel, ModelError } from '@marimba/engine';
import type { JsonObject } from '@marimba/engine/formats';
import { openCheckpointPath, quantizeModel } from '@marimba/engine/node';
import { createBackend } from '@marimba/engine/plan';
import type { TrainingBatch } from '../data/batches.ts';
import { initialise } from '../train/initialise.ts';
import { specOfConfig } from '../train/model-config.ts';
import { TrainingRuntime } from '../train/runtime.ts';
import { exportGguf } from './gguf.ts';
import { exportHuggingFace } from './huggingface.ts';

const root = mkdtempSync(join(tmpdir(), 'marimba-export-'));
after(() => rmSync(root, { recursive: true, force: true }));

const TOKENS = [3, 17, 40, 5, 11, 60, 2];
const BATCH: TrainingBatch = {
  sequences: 1,
  length: TOKENS.length,
  tokens: Uint32Array.from(TOKENS),
  targets: Int32Array.from(TOKENS, (_, i) => (i === TOKENS.length - 1 ? 0 : -1)),
  documentStarts: Uint32Array.of(0),
};
const sizes = {
  vocab_size: 61,
  hidden_size: 48,
  num_attention_heads: 6,
  num_key_value_heads: 2,
  intermediate_size: 50,
  max_position_embeddings: 128,
};
const hybrid = (layers: string[], forwards: string[], changes: JsonObject = {}): JsonObject => ({
  ...sizes,
  model_type: 'marimba',
  layer_types: layers,
  feed_forward_types: forwards,
  num_experts: 3,
  num_experts_per_tok: 2,
  mamba_d_state: 5,
  mamba_d_conv: 3,
  tie_word_embeddings: true,
  ...changes,
});
const repeat = (value: string, count: number): string[] => Array.from({ length: count }, () => value);

/**
 * `architecture`: of config.json, null for this project's own form. `gguf`: why no GGUF file holds the model,
 * or null.
 */
const CASES: Readonly<
  Record<string, { config: JsonObject; architecture: string | null; gguf: RegExp | null }>
> = {
  'every fourth layer attention, every second routed': {
    config: hybrid(['mamba', 'mamba', 'full_attention', 'mamba'], ['dense', 'experts', 'dense', 'experts']),
    architecture: 'JambaForCausalLM',
    gguf: null,
  },
  'Mamba with norms and feed-forwards': {
    config: hybrid(repeat('mamba', 2), repeat('dense', 2), { tie_word_embeddings: false }),
    architecture: 'JambaForCausalLM',
    gguf: /no attention \(jamba\)/, // llama.cpp aborts on such a file
  },
  'plain Mamba': {
    config: hybrid(repeat('mamba', 2), repeat('none', 2), { mamba_inner_norms: false }),
    architecture: 'MambaForCausalLM',
    gguf: null,
  },
  'transformer with rotary positions': {
    config: hybrid(repeat('full_attention', 2), repeat('dense', 2), { rope_theta: 10_000 }),
    architecture: 'LlamaForCausalLM',
    gguf: null,
  },
  'attention at both ends': {
    config: hybrid(['full_attention', 'mamba', 'mamba', 'full_attention'], repeat('dense', 4)),
    architecture: 'JambaForCausalLM',
    gguf: null,
  },
  'attention at no period': {
    config: hybrid(['full_attention', 'full_attention', 'mamba', 'full_attention'], repeat('dense', 4)),
    architecture: null,
    gguf: null,
  },
  'a window': {
    config: hybrid(['mamba', 'sliding_attention'], repeat('dense', 2), { sliding_window: 3 }),
    architecture: null,
    gguf: /window 3 in layer 1/,
  },
  'experts by sigmoids in groups, beside a shared one with a gate': {
    config: hybrid(['mamba', 'full_attention'], ['experts', 'experts'], {
      num_experts: 6,
      moe_intermediate_size: 12,
      scoring_func: 'sigmoid',
      use_expert_bias: true,
      norm_topk_prob: true,
      n_group: 3,
      topk_group: 2,
      routed_scaling_factor: 2.5,
      shared_expert_intermediate_size: 20,
      shared_expert_gate: true,
    }),
    architecture: null,
    gguf: /score "sigmoid"/,
  },
  'one part in each layer, with the squared ReLU': {
    config: hybrid(['mamba2', 'none', 'full_attention'], ['none', 'dense', 'none'], { hidden_act: 'relu2' }),
    architecture: null,
    gguf: null, // Nemotron-H
  },
};

for (const [name, { config, architecture, gguf }] of Object.entries(CASES)) {
  describe(`export: ${name}`, () => {
    it('gives the same logits from every form', async () => {
      const { spec, runtime } = await trainable(config);
      initialise(runtime.store, spec, 4);
      const expected = await runtime.logits(BATCH);
      const folder = join(root, name.replaceAll(/\W/g, '-'));
      const form = await exportHuggingFace(runtime.store, spec, config, folder);
      assert.equal(form.architecture, architecture, form.reasons.join('; '));
      await sameLogits(folder, expected);
      const written = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as JsonObject;
      assert.deepEqual(written.architectures, architecture ? [architecture] : undefined);
      const options = { name: basename(folder) };
      const file = `${folder}.gguf`;
      if (gguf) {
        const refused = { name: 'ModelError', message: gguf };
        await assert.rejects(exportGguf(runtime.store, spec, file, options), refused);
        return;
      }
      await exportGguf(runtime.store, spec, file, options);
      await sameLogits(file, expected);
      await quantizeModel(folder, `${folder}.quantized.gguf`, { type: 'f32', compare: false, threads: 1 });
      await sameFile(file, `${folder}.quantized.gguf`);
    });
  });
}

describe('export as GGUF', () => {
  const llama = { ...sizes, model_type: 'llama', num_hidden_layers: 2 };
  const jamba = hybrid(['mamba', 'full_attention'], repeat('dense', 2));
  const refused: Readonly<Record<string, [JsonObject, RegExp]>> = {
    'projection biases': [{ ...jamba, mamba_proj_bias: true }, /projection biases/],
    'no convolution bias': [{ ...jamba, mamba_conv_bias: false }, /no convolution bias/],
    'another expansion': [{ ...jamba, mamba_expand: 3 }, /other than twice the hidden size/],
    'a window': [{ ...llama, model_type: 'mistral', sliding_window: 4 }, /a sliding window/],
  };
  for (const [name, [config, message]] of Object.entries(refused))
    it(`refuses ${name}, which llama.cpp would not run or run differently`, async () => {
      const { spec, runtime } = await trainable(config);
      const out = join(root, 'refused.gguf');
      await assert.rejects(
        exportGguf(runtime.store, spec, out),
        (error) => error instanceof ModelError && message.test(error.message),
      );
      await runtime.close();
    });

  const held: Readonly<Record<string, JsonObject>> = {
    'biases of attention and feed-forward': { ...llama, attention_bias: true, mlp_bias: true },
    'another head size': { ...llama, head_dim: 10 },
    'scaled rotary positions': { ...llama, rope_scaling: { rope_type: 'linear', factor: 2 } },
    'head norms': { ...llama, model_type: 'qwen3', head_dim: 8 },
  };
  for (const [name, config] of Object.entries(held))
    it(`keeps ${name}`, async () => {
      const { spec, runtime } = await trainable(config);
      initialise(runtime.store, spec, 5);
      // Biases start at 0, which would hide one that is missing or in another order.
      for (const parameter of runtime.store.list)
        if (parameter.role.endsWith('Bias'))
          runtime.store.write(
            parameter,
            runtime.store.read(parameter).map((_, i) => Math.sin(i + 1) / 4),
          );
      const expected = await runtime.logits(BATCH);
      const file = join(root, `${name.replaceAll(' ', '-')}.gguf`);
      await exportGguf(runtime.store, spec, file);
      await sameLogits(file, expected);
      await runtime.close();
    });
});

async function trainable(config: JsonObject) {
  const { spec } = specOfConfig('test', config);
  const backend = await createBackend({ backend: 'reference' });
  return { spec, runtime: await TrainingRuntime.create(spec, backend, { maxTokens: 16 }) };
}

async function sameLogits(path: string, expected: Float32Array): Promise<void> {
  const model = await loadModel(path, { backend: 'reference', cacheType: 'f32', activations: 'f32' });
  const found = await model.createSession().prefill(TOKENS);
  assert.equal(found.length, expected.length);
  expected.forEach((v, i) =>
    assert.ok(Math.abs(v - found[i]!) < 1e-6, `${path}: logit ${i}: expected ${v}, found ${found[i]}`),
  );
  await model.close();
}

/** Byte for byte, but for the context length, which config.json of a Mamba does not say. */
async function sameFile(exported: string, quantized: string): Promise<void> {
  const [a, b] = await Promise.all([openCheckpointPath(exported), openCheckpointPath(quantized)]);
  assert(a.kind === 'gguf' && b.kind === 'gguf');
  const metadata = (file: typeof a) =>
    [...file.typedMetadata].filter(([key]) => key !== 'mamba.context_length');
  assert.deepEqual(metadata(a), metadata(b));
  const places = (file: typeof a) =>
    [...file.tensors.values()].map(({ name, type, shape, offset }) => ({ name, type, shape, offset }));
  assert.deepEqual(places(a), places(b));
  const start = [...a.tensors.values()][0]!.offset;
  assert.equal(
    Buffer.compare(readFileSync(exported).subarray(start), readFileSync(quantized).subarray(start)),
    0,
  );
  await Promise.all([a.close(), b.close()]);
}
