// What both partition tests share: a model read in random pieces, in random company, against the same model
// read whole.
import assert from 'node:assert/strict';
import { type LoadModelOptions, loadModel, type Model, type Session } from '../src/index.ts';
import { coreOf } from '../src/model/model.ts';
import { decodeState } from '../src/state/state-file.ts';
import { largestDifference, seeded, TOLERANCE } from './golden.ts';

const EXACT: LoadModelOptions = { cacheType: 'f32', activations: 'f32' };

/** What is cut, and what the sessions that share its steps read. */
export interface CutPrompts {
  readonly len200: readonly number[];
  readonly len33: readonly number[];
}

/**
 * For the reference, which is slow: as many cuts of half the text, which still reaches into a second page.
 */
export const halved = (prompts: CutPrompts): CutPrompts => ({
  ...prompts,
  len200: prompts.len200.slice(0, 100),
});

/** Recurrent state and the filled cache of a session, as floats. */
function stateOf(model: Model, session: Session): Float32Array {
  const { fingerprint, contextLength } = model;
  const owner = { layout: coreOf(model).runtime.layout, fingerprint, contextLength };
  return new Float32Array(decodeState(session.save(), owner).body.slice().buffer);
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

/** One random way to read the prompt: its logits, and the session that read it. */
async function readInPieces(model: Model, prompts: CutPrompts, random: () => number) {
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
  for (const other of others) other.close();
  return { session, logits: logits! };
}

/** Fails when a cut of the prompt of 200 tokens changes its last logits or the state behind it. */
export async function checkCuts(
  options: LoadModelOptions,
  folder: string,
  prompts: CutPrompts,
  cuts: number,
  firstSeed: number,
) {
  await using model = await loadModel(folder, { ...options, ...EXACT });
  const whole = model.createSession();
  const expected = await whole.prefill([...prompts.len200]);
  const expectedState = stateOf(model, whole);
  for (let seed = firstSeed; seed < firstSeed + cuts; seed++) {
    const { session, logits } = await readInPieces(model, prompts, seeded(seed));
    const logitsDifference = largestDifference(logits, expected);
    assert.ok(logitsDifference <= TOLERANCE, `seed ${seed}: logits differ by ${logitsDifference}`);
    const stateDifference = largestDifference(stateOf(model, session), expectedState);
    assert.ok(stateDifference <= TOLERANCE, `seed ${seed}: state differs by ${stateDifference}`);
    session.close();
  }
}
