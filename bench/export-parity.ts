// Does llama.cpp load what `marimba train --gguf` writes, and predict the same? Small models of each
// architecture that a layer list can become are trained for some steps with a tokenizer of their own;
// node-llama-cpp and this engine then run the exported file. `node bench/export-parity.ts` after `npm run
// bench:parity -- --install`.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel } from '@marimba/engine';
import { checkRunConfig, runTraining } from '@marimba/lab';
import { runChild } from './children.ts';
import type { ParityAnswer, ParityTask } from './parity-child.ts';
import { isPeerInstalled } from './peer-installation.ts';

const text = join(import.meta.dirname, '../fixtures/text/moby-dick.jsonl');
const PROMPT = 'There she blows! The white whale, the whale of whales, rose from the sea';
/** F32 weights: only the order of additions differs. */
const LIMIT = 5e-5;

const sizes = {
  model_type: 'marimba',
  vocab_size: 400,
  hidden_size: 48,
  intermediate_size: 64,
  num_attention_heads: 6,
  num_key_value_heads: 2,
  num_hidden_layers: 4,
  mamba_d_state: 8,
  num_experts: 3,
  num_experts_per_tok: 2,
  max_position_embeddings: 512,
};
const all = (type: string) => Array.from({ length: 4 }, () => type);
const MODELS: Readonly<Record<string, Record<string, unknown>>> = {
  'Jamba with experts': {
    ...sizes,
    layer_types: ['mamba', 'mamba', 'full_attention', 'mamba'],
    feed_forward_types: ['dense', 'experts', 'dense', 'experts'],
  },
  Mamba: { ...sizes, layer_types: all('mamba'), feed_forward_types: all('none'), mamba_inner_norms: false },
  Llama: {
    ...sizes,
    layer_types: all('full_attention'),
    feed_forward_types: all('dense'),
    rope_theta: 10_000,
  },
  'attention at no period': {
    ...sizes,
    layer_types: ['full_attention', 'full_attention', 'mamba', 'full_attention'],
    feed_forward_types: all('dense'),
  },
  'Llama with biases': { ...sizes, model_type: 'llama', attention_bias: true, mlp_bias: true },
  'Llama with wide heads': { ...sizes, model_type: 'llama', head_dim: 16 },
  'Llama, linear scaling': {
    ...sizes,
    model_type: 'llama',
    rope_scaling: { rope_type: 'linear', factor: 2 },
  },
};

async function compare(name: string, model: Record<string, unknown>, folder: string): Promise<boolean> {
  const output = join(folder, name.replaceAll(/\W/g, '-'));
  const settings = { model, texts: [text], output, steps: 40, length: 64, sequences: 8, learningRate: 5e-3 };
  const { heldOutLoss } = await runTraining(checkRunConfig(name, settings), { gguf: true });
  const path = join(output, 'model.gguf');
  await using ours = await loadModel(path, { activations: 'f32', cacheType: 'f32' });
  const prompt = ours.encode(PROMPT);
  const task: ParityTask = { path, prompts: [prompt], vocabularySize: ours.vocabularySize };
  const [theirs] = await runChild<ParityAnswer>('parity-child.ts', task);
  const [step] = await ours.step([{ session: ours.createSession(), tokens: prompt, logits: 'all' }]);
  let largest = 0;
  for (const [row, peer] of theirs!.entries()) {
    const logits = step!.logits!.subarray(row * ours.vocabularySize, (row + 1) * ours.vocabularySize);
    largest = Math.max(largest, ...softmax(logits).map((p, i) => Math.abs(p - peer[i]!)));
  }
  const agrees = largest <= LIMIT;
  process.stdout.write(
    `${agrees ? 'agrees' : 'DIFFERS'}  ${name.padEnd(22)} held-out loss ${heldOutLoss?.toFixed(2)}, largest difference ${largest.toExponential(1)} (limit ${LIMIT}) over ${prompt.length} positions\n`,
  );
  return agrees;
}

function softmax(logits: Float32Array): number[] {
  const max = logits.reduce((a, b) => Math.max(a, b));
  const sum = logits.reduce((total, x) => total + Math.exp(x - max), 0);
  return Array.from(logits, (x) => Math.exp(x - max) / sum);
}

if (!isPeerInstalled('node-llama-cpp'))
  process.stdout.write(
    'SKIPPED: the peer, node-llama-cpp, is not installed. `npm run bench:parity -- --install` fetches it.\n',
  );
else {
  const folder = await mkdtemp(join(tmpdir(), 'marimba-parity-'));
  try {
    for (const [name, model] of Object.entries(MODELS))
      if (!(await compare(name, model, folder))) process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
