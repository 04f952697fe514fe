// Families and sizes that the golden models leave out (fixtures/golden-extra, see its README): odd sizes,
// windows, RoPE scaling, biases, head norms, mixed hybrids. Logits and greedy tokens on every backend, and
// random cuts of a prompt.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeGguf } from '../src/export/write-gguf.node.ts';
import { openCheckpointPath } from '../src/formats/checkpoint.node.ts';
import { type LoadModelOptions, loadModel } from '../src/index.ts';
import { planOutput } from '../src/quantize/plan-output.ts';
import { checkCuts, halved } from './cuts.ts';
import { largestDifference, PROMPTS, type PromptName, TOLERANCE } from './golden.ts';

const MODELS = [
  'jamba-odd',
  'jamba-odd2',
  'mamba-odd',
  'falcon-mamba',
  'mistral-window',
  'llama3-rope',
  'qwen2',
  'qwen3-window',
  'marimba-rope',
  'marimba-plain',
] as const;

const BACKENDS: Record<string, LoadModelOptions> = {
  reference: { backend: 'reference' },
  'relaxed, 1 thread': { variant: 'relaxed', threads: 1 },
  'relaxed, 2 threads': { variant: 'relaxed', threads: 2 },
  'baseline, 2 threads': { variant: 'baseline', threads: 2 },
};
const EXACT: LoadModelOptions = { cacheType: 'f32', activations: 'f32' };

interface Golden {
  readonly prompts: Record<PromptName, number[]>;
  readonly logits_last: Record<PromptName, number[]>;
  readonly greedy: { readonly len33: { readonly tokens: number[] } };
}

const folderOf = (name: string): string =>
  fileURLToPath(new URL(`../../../fixtures/golden-extra/${name}`, import.meta.url));
const readGolden = (name: string): Golden =>
  JSON.parse(readFileSync(`${folderOf(name)}/golden.json`, 'utf8'));

/** Logits at every position of the prompt of 33 tokens: [33 × vocabulary]. */
function readAllLogits(name: string): Float32Array {
  return new Float32Array(new Uint8Array(readFileSync(`${folderOf(name)}/logits_len33.f32`)).buffer);
}

async function checkLogits(name: string, options: LoadModelOptions): Promise<void> {
  const { prompts, logits_last, greedy } = readGolden(name);
  await using model = await loadModel(folderOf(name), { ...options, ...EXACT });
  for (const prompt of PROMPTS) {
    const session = model.createSession();
    const difference = largestDifference(await session.prefill(prompts[prompt]), logits_last[prompt]);
    assert.ok(difference <= TOLERANCE, `${prompt}: logits differ by ${difference}`);
    session.close();
  }
  const session = model.createSession();
  const [all] = await model.step([{ session, tokens: prompts.len33.slice(0, -1), logits: 'all' }]);
  const expected = readAllLogits(name);
  const difference = largestDifference(all!.logits!, expected.subarray(0, all!.logits!.length));
  assert.ok(difference <= TOLERANCE, `all logits differ by ${difference}`);
  const { tokens } = greedy.len33;
  const found: number[] = [];
  const sampling = { temperature: 0, maxTokens: tokens.length, ignoreEos: true };
  for await (const event of session.generate(prompts.len33.slice(-1), sampling)) found.push(event.token);
  assert.deepEqual(found, tokens);
}

for (const [backend, options] of Object.entries(BACKENDS)) {
  describe(`more golden models on ${backend}`, () => {
    for (const name of MODELS) it(name, () => checkLogits(name, options));
  });
}

describe('any cut of a prompt gives the same logits and state, in more models', () => {
  for (const name of MODELS) {
    const { prompts } = readGolden(name);
    it(`${name}, wasm with 2 threads`, () =>
      checkCuts({ threads: 2, batchTokens: 48 }, folderOf(name), prompts, 10, 1));
    it(`${name}, baseline wasm with 1 thread`, () =>
      checkCuts({ threads: 1, variant: 'baseline' }, folderOf(name), prompts, 10, 1001));
    it(`${name}, reference`, () =>
      checkCuts({ backend: 'reference' }, folderOf(name), halved(prompts), 2, 2001));
  }
});

describe('written as GGUF and read back', () => {
  // q and k rows (and their biases) are stored interleaved in llama files: both directions must undo each
  // other.
  for (const name of ['jamba-odd2', 'mamba-odd', 'llama3-rope'] as const) {
    it(`${name}: the logits are Hugging Face's`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'marimba-gguf-'));
      try {
        const file = join(folder, `${name}.gguf`);
        const checkpoint = await openCheckpointPath(folderOf(name));
        await writeGguf(await planOutput(checkpoint, { type: 'f32' }), file);
        await checkpoint.close();
        const { prompts, logits_last } = readGolden(name);
        await using model = await loadModel(file, { ...EXACT, threads: 1 });
        for (const prompt of PROMPTS) {
          const logits = await model.createSession().prefill(prompts[prompt]);
          assert.ok(largestDifference(logits, logits_last[prompt]) <= TOLERANCE, prompt);
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
