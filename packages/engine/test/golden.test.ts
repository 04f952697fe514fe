// Every golden model, from every file of it, on every backend, against Hugging Face's logits.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type LoadModelOptions, loadModel, type Model } from '../src/index.ts';
import {
  GOLDEN_MODELS,
  type GoldenModel,
  ggufFile,
  largestDifference,
  modelFolder,
  PROMPTS,
  readAllLogits,
  readGgufGolden,
  readGolden,
  TOLERANCE,
} from './golden.ts';

const BACKENDS: Record<string, LoadModelOptions> = {
  reference: { backend: 'reference' },
  'relaxed, 1 thread': { variant: 'relaxed', threads: 1 },
  'relaxed, 2 threads': { variant: 'relaxed', threads: 2 },
  'baseline, 1 thread': { variant: 'baseline', threads: 1 },
  'baseline, 2 threads': { variant: 'baseline', threads: 2 },
};
const EXACT: LoadModelOptions = { cacheType: 'f32', activations: 'f32' };

async function checkLast(
  model: Model,
  prompts: Record<string, number[]>,
  expected: Record<string, number[]>,
): Promise<void> {
  for (const name of PROMPTS) {
    const session = model.createSession();
    const difference = largestDifference(await session.prefill(prompts[name]!), expected[name]!);
    assert.ok(difference <= TOLERANCE, `${name}: logits differ by ${difference}`);
    session.close();
  }
}

async function greedy(model: Model, prompt: number[], count: number): Promise<number[]> {
  const stream = model
    .createSession()
    .generate(prompt, { temperature: 0, maxTokens: count, ignoreEos: true });
  const tokens: number[] = [];
  for await (const event of stream) tokens.push(event.token);
  return tokens;
}

async function checkFolder(name: GoldenModel, options: LoadModelOptions): Promise<void> {
  const golden = readGolden(name);
  await using model = await loadModel(modelFolder(name), { ...options, ...EXACT });
  await checkLast(model, golden.prompts, golden.logits_last);
  const [result] = await model.step([
    { session: model.createSession(), tokens: golden.prompts.len33, logits: 'all' },
  ]);
  const difference = largestDifference(result!.logits!, readAllLogits(name));
  assert.ok(difference <= TOLERANCE, `all logits differ by ${difference}`);
  for (const prompt of PROMPTS) {
    const { tokens } = golden.greedy[prompt];
    assert.deepEqual(await greedy(model, golden.prompts[prompt], tokens.length), tokens, prompt);
  }
}

async function checkGguf(
  name: GoldenModel,
  type: 'f32' | 'f16' | 'q8_0',
  options: LoadModelOptions,
): Promise<void> {
  const golden = readGolden(name);
  const expected = readGgufGolden(name, type);
  await using model = await loadModel(ggufFile(name, type), { ...options, ...EXACT });
  await checkLast(model, golden.prompts, expected.logits_last);
  assert.deepEqual(await greedy(model, golden.prompts.len33, expected.greedy.length), expected.greedy);
}

for (const [backend, options] of Object.entries(BACKENDS)) {
  describe(`golden models on ${backend}`, () => {
    for (const name of GOLDEN_MODELS) {
      it(`${name} from safetensors`, () => checkFolder(name, options));
      for (const type of ['f32', 'f16', 'q8_0'] as const)
        it(`${name} from ${type} GGUF`, () => checkGguf(name, type, options));
    }
  });
}
