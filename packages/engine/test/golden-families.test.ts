// Every golden model of the hybrid families, from every file of it, in every build of the kernels and on the
// reference: logits, choices, greedy tokens, loss, any cut of a prompt, any company. One table.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { forceBuild, type KernelBuild } from '../src/backends/wasm/load-kernels.ts';
import { type LoadModelOptions, loadModel, type Model, type Session } from '../src/index.ts';
import { largestDifference, seeded, TOLERANCE } from './golden.ts';
import {
  FAMILY_MODELS,
  type FamilyGolden,
  type FamilyModel,
  type FamilyPrompt,
  type FamilySource,
  familyPath,
  hasFamilyFile,
  readFamilyGolden,
} from './golden-families.ts';
import { assertSameNumbers } from './same-numbers.ts';

interface Setting {
  readonly backend: 'reference' | KernelBuild;
  readonly threads: number;
}

const SETTINGS: readonly Setting[] = [
  { backend: 'reference', threads: 1 },
  ...(['relaxed', 'pairs', 'baseline'] as const).flatMap((backend) => [
    { backend, threads: 1 },
    { backend, threads: 2 },
  ]),
];
const ALL: readonly FamilyPrompt[] = ['len1', 'len2', 'len3', 'len7', 'len33', 'len65', 'len200'];
/** The reference takes a second for 200 tokens. */
const SHORT: readonly FamilyPrompt[] = ['len1', 'len2', 'len3', 'len7', 'len33'];
/** Two logits nearer than this may change places. */
const CLEAR_GAP = 2 * TOLERANCE;
/** The mean over 199 positions, whose rounding errors partly cancel. */
const LOSS_TOLERANCE = 1e-4;

async function load(path: string, { backend, threads }: Setting): Promise<Model> {
  const exact: LoadModelOptions = { cacheType: 'f32', activations: 'f32' };
  if (backend === 'reference') return loadModel(path, { ...exact, backend });
  forceBuild(backend);
  try {
    return await loadModel(path, { ...exact, threads, variant: backend === 'pairs' ? 'relaxed' : backend });
  } finally {
    forceBuild(null);
  }
}

/** The row of the best and how far the second is behind. */
function best(logits: Float32Array): { token: number; gap: number } {
  let [token, first, second] = [0, -Infinity, -Infinity];
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i]!;
    if (value > first) [token, first, second] = [i, value, first];
    else if (value > second) second = value;
  }
  return { token, gap: first - second };
}

const row = (logits: Float32Array, index: number, width: number): Float32Array =>
  logits.subarray(index * width, (index + 1) * width);

const within = (found: ArrayLike<number>, expected: ArrayLike<number>, what: string): void => {
  const difference = largestDifference(found, expected);
  assert.ok(difference <= TOLERANCE, `${what}: differs by ${difference}`);
};

/** Mean of −log softmax(logits)[next token] over all positions but the last. */
function meanLoss(logits: Float32Array, tokens: readonly number[], width: number): number {
  let sum = 0;
  for (let i = 0; i + 1 < tokens.length; i++) {
    const values = row(logits, i, width);
    const highest = values.reduce((a, b) => Math.max(a, b));
    const total = values.reduce((sum, value) => sum + Math.exp(value - highest), 0);
    sum += Math.log(total) + highest - values[tokens[i + 1]!]!;
  }
  return sum / (tokens.length - 1);
}

/** Reads the prompts, all in one step: [rows × vocabulary] of each, and the sessions behind them. */
async function readPrompts(model: Model, golden: FamilyGolden, names: readonly FamilyPrompt[]) {
  const requests = names.map((name) => {
    const session = model.createSession();
    return { session, tokens: golden.prompts[name], logits: 'all' as const };
  });
  const results = await model.step(requests);
  return new Map(
    names.map((name, i) => [name, { session: requests[i]!.session, logits: results[i]!.logits! }]),
  );
}

function checkPrompt(golden: FamilyGolden, name: FamilyPrompt, logits: Float32Array): void {
  const tokens = golden.prompts[name];
  const width = golden.logits_last[name].length;
  assert.equal(logits.length, tokens.length * width);
  within(row(logits, tokens.length - 1, width), golden.logits_last[name], `${name}: last logits`);
  if (name === 'len33' && golden.allLogits) within(logits, golden.allLogits, 'len33: all logits');
  tokens.forEach((_, i) => {
    const { token, gap } = best(row(logits, i, width));
    if (gap > CLEAR_GAP) assert.equal(token, golden.argmax_all[name][i], `${name}: best at ${i}`);
  });
  if (name !== 'len200' || golden.nll === null) return;
  const loss = meanLoss(logits, tokens, width);
  assert.ok(Math.abs(loss - golden.nll) <= LOSS_TOLERANCE, `loss ${loss}, expected ${golden.nll}`);
}

/** Goes on after prompts that were read, all in each other's company. */
async function checkGreedy(
  model: Model,
  read: ReadonlyMap<FamilyPrompt, { session: Session; logits: Float32Array }>,
  expected: FamilyGolden['greedy'],
  most: number,
): Promise<void> {
  const running = [...read].flatMap(([name, { session, logits }]) => {
    const answer = expected[name]?.slice(0, most);
    return answer ? [{ name, session, answer, found: [] as number[], logits }] : [];
  });
  assert.ok(running.length);
  for (;;) {
    for (const run of running) run.found.push(best(run.logits.subarray(-model.spec.vocabularySize)).token);
    const going = running.filter(({ found, answer }) => found.length < answer.length);
    if (!going.length) break;
    const results = await model.step(
      going.map(({ session, found }) => ({ session, tokens: found.slice(-1) })),
    );
    going.forEach((run, i) => (run.logits = results[i]!.logits!));
  }
  for (const { name, answer, found } of running)
    assert.deepEqual(found.slice(0, answer.length), answer, `greedy tokens after ${name}`);
}

/** The prompt of 200 in pieces of random length, short ones mostly: convolutions and windows end in them. */
async function checkCut(model: Model, golden: FamilyGolden, whole: Float32Array, seed: number) {
  const random = seeded(seed);
  const session = model.createSession();
  const tokens = golden.prompts.len200;
  const width = golden.logits_last.len200.length;
  for (let from = 0; from < tokens.length; ) {
    const length = 1 + Math.floor(random() * (random() < 0.7 ? 5 : 90));
    const [piece] = await model.step([{ session, tokens: tokens.slice(from, from + length), logits: 'all' }]);
    const expected = whole.subarray(from * width, from * width + piece!.logits!.length);
    within(piece!.logits!, expected, `cut ${seed}: tokens from ${from}`);
    from += length;
  }
  session.close();
}

/** Logits of the prompt of 200 with one thread, by model and build: two threads give the same bits. */
const withOneThread = new Map<string, Float32Array>();

async function check(name: FamilyModel, source: FamilySource, setting: Setting): Promise<void> {
  const golden = readFamilyGolden(name, source);
  const slow = setting.backend === 'reference';
  await using model = await load(familyPath(name, source), setting);
  const read = await readPrompts(model, golden, slow ? SHORT : ALL);
  for (const [prompt, { logits }] of read) checkPrompt(golden, prompt, logits);
  await checkGreedy(model, read, golden.greedy, slow ? 8 : 24);
  if (slow) return;
  const whole = read.get('len200')!.logits;
  await checkCut(model, golden, whole, setting.threads * 100 + FAMILY_MODELS.indexOf(name));
  const key = `${name} ${source} ${setting.backend}`;
  if (setting.threads === 1) withOneThread.set(key, whole);
  else assertSameNumbers(whole, withOneThread.get(key)!, 'logits with one thread');
}

for (const name of FAMILY_MODELS) {
  describe(name, () => {
    for (const source of ['folder', 'f32', 'q8_0'] as const) {
      if (!hasFamilyFile(name, source)) continue;
      const file = source === 'folder' ? 'safetensors' : `${source} GGUF`;
      for (const setting of SETTINGS)
        it(`${file}, ${setting.backend}, threads: ${setting.threads}`, () => check(name, source, setting));
    }
  });
}
