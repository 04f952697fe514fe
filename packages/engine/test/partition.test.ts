// The partition test: however a prompt is cut, whatever shares its steps, on however many threads, the logits and the
// state are those of reading it in one piece. Carried state is where hybrid engines break.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type LoadModelOptions, loadModel, type Model, type Session } from '../src/index.ts';
import { decodeState } from '../src/session/state-file.ts';
import { GOLDEN_MODELS, largestDifference, modelFolder, readGolden, seeded, TOLERANCE } from './golden.ts';

const CUTS = 50;
const EXACT: LoadModelOptions = { cacheType: 'f32', activations: 'f32' };

/** Recurrent state and the filled cache of a session, as floats. */
function stateOf(model: Model, session: Session): Float32Array {
  const { recurrent, pages } = decodeState(session.save(), model.runtime.layout, model.fingerprint);
  const parts = [recurrent, ...pages.flat()].map((bytes) => new Float32Array(bytes.slice().buffer));
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Cuts a list into pieces of random length; most are short, since that is where the conv width matters. */
function cut<T>(list: readonly T[], random: () => number): T[][] {
  const pieces: T[][] = [];
  for (let from = 0; from < list.length; ) {
    const length = random() < 0.5 ? 1 + Math.floor(random() * 5) : 1 + Math.floor(random() * list.length);
    pieces.push(list.slice(from, from + length));
    from += length;
  }
  return pieces;
}

async function checkCuts(
  options: LoadModelOptions,
  name: (typeof GOLDEN_MODELS)[number],
  cuts: number,
  firstSeed: number,
) {
  const { prompts } = readGolden(name);
  await using model = await loadModel(modelFolder(name), { ...options, ...EXACT });
  const whole = model.createSession();
  const expected = await whole.prefill(prompts.len200);
  const expectedState = stateOf(model, whole);
  for (let seed = firstSeed; seed < firstSeed + cuts; seed++) {
    const random = seeded(seed);
    const session = model.createSession();
    const others = Array.from({ length: Math.floor(random() * 3) }, () => model.createSession());
    let logits: Float32Array | null = null;
    for (const tokens of cut(prompts.len200, random)) {
      const company = others
        .filter(() => random() < 0.6)
        .map((other) => ({
          session: other,
          tokens: prompts.len33.slice(0, 1 + Math.floor(random() * 33)),
          logits: 'none' as const,
        }));
      const requests = [{ session, tokens, logits: 'last' as const }, ...company];
      if (random() < 0.5) requests.reverse();
      logits = (await model.step(requests))[requests.findIndex((r) => r.session === session)]!.logits;
    }
    const logitsDifference = largestDifference(logits!, expected);
    assert.ok(logitsDifference <= TOLERANCE, `seed ${seed}: logits differ by ${logitsDifference}`);
    const stateDifference = largestDifference(stateOf(model, session), expectedState);
    assert.ok(stateDifference <= TOLERANCE, `seed ${seed}: state differs by ${stateDifference}`);
    for (const other of [session, ...others]) other.close();
  }
}

describe('any cut of a prompt, in any company, gives the same logits and state', () => {
  for (const name of GOLDEN_MODELS) {
    it(`${name}, wasm with 1 thread`, () => checkCuts({ threads: 1, batchTokens: 48 }, name, CUTS / 2, 1));
    it(`${name}, wasm with 2 threads`, () => checkCuts({ threads: 2 }, name, CUTS / 2, 1001));
    it(`${name}, baseline wasm with 3 threads`, () =>
      checkCuts({ threads: 3, variant: 'baseline' }, name, 4, 2001));
    it(`${name}, reference`, () => checkCuts({ backend: 'reference' }, name, 2, 3001));
  }
});
