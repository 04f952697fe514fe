// Guessed tokens never change an answer, whatever state a model carries: of guesses some are right and some
// are wrong, and both must leave the session where reading its tokens leads.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LoadModelOptions, Model } from '../src/index.ts';
import { coreOf } from '../src/model/model.ts';
import { largestDifference, TOLERANCE } from './golden.ts';
import { sharedModel } from './shared-models.ts';
import { FAMILY_STATE_MODELS, type StateModel } from './state-models.ts';

const ANSWER = 60;
/** Of three tokens that are as good as equally likely, the latest two recur soon: guesses are made, and often wrong. */
const FEW = { logitBias: { 5: 1000, 6: 1000, 7: 1000 }, temperature: 500, topK: 3 };

async function answer(model: Model, prompt: readonly number[], seed: number, speculate: boolean) {
  const passes = coreOf(model).runtime.replays;
  const session = model.createSession();
  const options = { ...FEW, seed, sampling: 'neutral', maxTokens: ANSWER, ignoreEos: true } as const;
  const { tokens } = await session.complete([...prompt], { ...options, speculate });
  return { session, tokens, passes: coreOf(model).runtime.replays - passes };
}

async function check({ folder, prompts }: StateModel, options: LoadModelOptions): Promise<void> {
  const model = await sharedModel(folder, { ...options, cacheType: 'f32', activations: 'f32' });
  for (let seed = 1; seed <= 4; seed++) {
    const plain = await answer(model, prompts.len33, seed, false);
    const guessed = await answer(model, prompts.len33, seed, true);
    assert.deepEqual(guessed.tokens, plain.tokens);
    assert.ok(guessed.passes < plain.passes - 5, `${guessed.passes} passes, ${plain.passes} without guesses`);
    const expected = await plain.session.prefill([9]);
    const difference = largestDifference(await guessed.session.prefill([9]), expected);
    assert.ok(difference <= TOLERANCE, `seed ${seed}: logits differ by ${difference}`);
    for (const { session } of [plain, guessed]) session.close();
  }
}

describe('guessed tokens change no answer', () => {
  for (const model of FAMILY_STATE_MODELS)
    for (const threads of [1, 2]) it(`${model.name}, threads: ${threads}`, () => check(model, { threads }));
});
