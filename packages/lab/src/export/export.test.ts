// A trained model, written as a Hugging Face folder and as GGUF and loaded by the engine again, gives the logits of the
// training forward; a layer list that a published family can express becomes that family.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { loadModel, UsageError } from '@marimba/engine';
import type { JsonObject } from '@marimba/engine/formats';
import { createBackend } from '@marimba/engine/plan';
import type { TrainingBatch } from '../data/batches.ts';
import { initialise } from '../train/initialise.ts';
import { specOfConfig } from '../train/model-config.ts';
import { TrainingRuntime } from '../train/runtime.ts';
import { exportGguf, exportHuggingFace } from './export.ts';

const root = mkdtempSync(join(tmpdir(), 'marimba-export-'));
after(() => rmSync(root, { recursive: true, force: true }));

const TOKENS = [3, 17, 40, 5, 11, 60, 2];
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

const CASES: Readonly<Record<string, { config: JsonObject; architecture: string | null }>> = {
  'every fourth layer attention, every second routed': {
    config: hybrid(['mamba', 'mamba', 'full_attention', 'mamba'], ['dense', 'experts', 'dense', 'experts']),
    architecture: 'JambaForCausalLM',
  },
  'Mamba with norms and feed-forwards': {
    config: hybrid(repeat('mamba', 2), repeat('dense', 2), { tie_word_embeddings: false }),
    architecture: 'JambaForCausalLM',
  },
  'plain Mamba': {
    config: hybrid(repeat('mamba', 2), repeat('none', 2), { mamba_inner_norms: false }),
    architecture: 'MambaForCausalLM',
  },
  'transformer with rotary positions': {
    config: hybrid(repeat('full_attention', 2), repeat('dense', 2), { rope_theta: 10_000 }),
    architecture: 'LlamaForCausalLM',
  },
  'attention at both ends': {
    config: hybrid(['full_attention', 'mamba', 'mamba', 'full_attention'], repeat('dense', 4)),
    architecture: 'JambaForCausalLM',
  },
  'attention at no period': {
    config: hybrid(['full_attention', 'full_attention', 'mamba', 'full_attention'], repeat('dense', 4)),
    architecture: null,
  },
  'a window': {
    config: hybrid(['mamba', 'sliding_attention'], repeat('dense', 2), { sliding_window: 3 }),
    architecture: null,
  },
};

for (const [name, { config, architecture }] of Object.entries(CASES)) {
  describe(`export: ${name}`, () => {
    it('gives the same logits from every form', async () => {
      const { spec } = specOfConfig('test', config);
      const runtime = await TrainingRuntime.create(spec, await createBackend({ backend: 'reference' }), {
        maxTokens: 16,
      });
      initialise(runtime.store, spec, 4);
      const targets = Int32Array.from(TOKENS, (_, i) => (i === TOKENS.length - 1 ? 0 : -1));
      const batch: TrainingBatch = {
        sequences: 1,
        length: TOKENS.length,
        tokens: Uint32Array.from(TOKENS),
        targets,
        documentStarts: Uint32Array.of(0),
      };
      const expected = await runtime.logits(batch);
      const folder = join(root, name.replaceAll(/\W/g, '-'));
      const expression = await exportHuggingFace(runtime.store, spec, config, folder);
      assert.equal(expression.architecture, architecture, expression.reasons.join('; '));
      await sameLogits(folder, expected);
      if (architecture) {
        const written = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as {
          architectures: string[];
        };
        assert.deepEqual(written.architectures, [architecture]);
        await exportGguf(runtime.store, spec, config, `${folder}.gguf`);
        await sameLogits(`${folder}.gguf`, expected);
      } else {
        await assert.rejects(exportGguf(runtime.store, spec, config, `${folder}.gguf`), UsageError);
      }
    });
  });
}

describe('export as GGUF', () => {
  const llama = { ...sizes, model_type: 'llama', num_hidden_layers: 2 };
  const jamba = hybrid(['mamba', 'full_attention'], repeat('dense', 2));
  const refused: Readonly<Record<string, [JsonObject, RegExp]>> = {
    'projection biases': [{ ...jamba, mamba_proj_bias: true }, /projection biases/],
    'no convolution bias': [{ ...jamba, mamba_conv_bias: false }, /no bias/],
    'another expansion': [{ ...jamba, mamba_expand: 3 }, /not twice the hidden size/],
    'attention biases': [{ ...llama, attention_bias: true }, /norms or biases/],
    'another head size': [{ ...llama, head_dim: 10 }, /do not add up/],
    'scaled rotary positions': [
      { ...llama, rope_scaling: { rope_type: 'linear', factor: 2 } },
      /no rotary positions, or scaled ones/,
    ],
  };
  for (const [name, [config, message]] of Object.entries(refused))
    it(`refuses ${name}, which llama.cpp would not run or run differently`, async () => {
      const { spec } = specOfConfig('test', config);
      const runtime = await TrainingRuntime.create(spec, await createBackend({ backend: 'reference' }), {
        maxTokens: 4,
      });
      await assert.rejects(exportGguf(runtime.store, spec, config, join(root, 'refused.gguf')), message);
      await runtime.close();
    });
});

async function sameLogits(path: string, expected: Float32Array): Promise<void> {
  const model = await loadModel(path, { backend: 'reference', cacheType: 'f32', activations: 'f32' });
  const found = await model.createSession().prefill(TOKENS);
  assert.equal(found.length, expected.length);
  expected.forEach((v, i) =>
    assert.ok(Math.abs(v - found[i]!) < 1e-6, `${path}: logit ${i}: expected ${v}, found ${found[i]}`),
  );
  await model.close();
}
