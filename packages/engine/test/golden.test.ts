// Every golden model, from every file of it, on every backend, against Hugging Face's logits.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type LoadModelOptions, loadModel, type Model, type Session } from '../src/index.ts';
import {
  GOLDEN_MODELS,
  type GoldenModel,
  ggufFile,
  largestDifference,
  modelFolder,
  PROMPTS,
  type PromptName,
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

/**
 * The last logits of every prompt, and greedy tokens after some of them. A prompt is read once up to its last
 * token; a fork reads that for the logits, the session itself for the answer.
 */
async function checkPrompts(
  model: Model,
  prompts: Record<PromptName, number[]>,
  logits: Record<PromptName, number[]>,
  answers: Partial<Record<PromptName, number[]>>,
  names: readonly PromptName[] = PROMPTS,
): Promise<void> {
  for (const name of names) {
    const [head, last] = [prompts[name].slice(0, -1), prompts[name].slice(-1)];
    const session = model.createSession();
    if (head.length) await session.prefill(head);
    const fork = session.fork();
    const difference = largestDifference(await fork.prefill(last), logits[name]);
    assert.ok(difference <= TOLERANCE, `${name}: logits differ by ${difference}`);
    fork.close();
    const expected = answers[name];
    if (expected) assert.deepEqual(await greedy(session, last, expected.length), expected, name);
    session.close();
  }
}

async function greedy(session: Session, tokens: number[], count: number): Promise<number[]> {
  const found: number[] = [];
  const options = { temperature: 0, maxTokens: count, ignoreEos: true };
  for await (const event of session.generate(tokens, options)) found.push(event.token);
  return found;
}

async function checkFolder(name: GoldenModel, options: LoadModelOptions): Promise<void> {
  const { prompts, logits_last, greedy } = readGolden(name);
  await using model = await loadModel(modelFolder(name), { ...options, ...EXACT });
  const answers = Object.fromEntries(PROMPTS.map((prompt) => [prompt, greedy[prompt].tokens]));
  await checkPrompts(model, prompts, logits_last, answers);
  const session = model.createSession();
  const [all] = await model.step([{ session, tokens: prompts.len33, logits: 'all' }]);
  const difference = largestDifference(all!.logits!, readAllLogits(name));
  assert.ok(difference <= TOLERANCE, `all logits differ by ${difference}`);
}

async function checkGguf(
  name: GoldenModel,
  type: 'f32' | 'f16' | 'q8_0',
  options: LoadModelOptions,
): Promise<void> {
  const { prompts } = readGolden(name);
  const { logits_last, greedy } = readGgufGolden(name, type);
  await using model = await loadModel(ggufFile(name, type), { ...options, ...EXACT });
  // What a file adds is its weights, and those are all read for 33 tokens. The reference takes a second for
  // 200.
  const names = options.backend === 'reference' ? PROMPTS.filter((name) => name !== 'len200') : PROMPTS;
  await checkPrompts(model, prompts, logits_last, { len33: greedy }, names);
}

/** Where GGUF files are loaded, too: in each build, with one thread that reads weights and with several. */
const FILES_ON: ReadonlySet<string> = new Set(['reference', 'relaxed, 2 threads', 'baseline, 1 thread']);

for (const [backend, options] of Object.entries(BACKENDS)) {
  describe(`golden models on ${backend}`, () => {
    for (const name of GOLDEN_MODELS) {
      it(`${name} from safetensors`, () => checkFolder(name, options));
      if (!FILES_ON.has(backend)) continue;
      for (const type of ['f32', 'f16', 'q8_0'] as const)
        it(`${name} from ${type} GGUF`, () => checkGguf(name, type, options));
    }
  });
}
