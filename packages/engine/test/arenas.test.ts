// A model that spans several arenas computes what it computes in one, bit for bit, wherever it is cut: logits,
// states, drafts, forks, and saved sessions, whose bytes do not show the cut.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readSpec } from '../src/architecture/families/index.ts';
import { openCheckpointPath } from '../src/formats/checkpoint.node.ts';
import { type LoadModelOptions, loadModel, type Model } from '../src/index.ts';
import { coreOf } from '../src/model/model.ts';
import { placeBuffers } from '../src/plan/encode.ts';
import { copyOp } from '../src/plan/ops/dense.ts';
import { matrix, PlanBuilder, type Value } from '../src/plan/plan.ts';
import { seeded } from './golden.ts';
import { FAMILY_MODELS, familyPath, readFamilyGolden } from './golden-families.ts';
import { assertSameNumbers, type Numbers } from './same-numbers.ts';
import { STATE_MODELS, type StateModel } from './state-models.ts';

/** Passes of few rows, so that a prompt takes several; more logits than one replay of the head gives. */
const OPTIONS: LoadModelOptions = { batchTokens: 40, activations: 'f32' };
const PROMPT = 75;

type Trace = Record<string, Numbers>;

/** Reads, forks, goes back, drafts, generates and saves. Every number that shows. */
async function traceOf(model: Model, { prompts }: StateModel): Promise<Trace> {
  const tokens = prompts.len200.slice(0, PROMPT);
  const trace: Trace = {};
  using session = model.createSession();
  using company = model.createSession();
  const [all, last] = await model.step([
    { session, tokens, logits: 'all' },
    { session: company, tokens: prompts.len33.slice(0, 5) },
  ]);
  trace.all = all!.logits!;
  trace.company = last!.logits!;
  trace.saved = session.save();
  using fork = session.fork();
  const mark = session.checkpoint();
  trace.onwards = await session.prefill(prompts.len33.slice(0, 9));
  trace.forked = await fork.prefill(prompts.len33.slice(9, 12));
  await session.rewind(mark.position);
  trace.again = await session.prefill(prompts.len33.slice(3, 6));
  trace.savedAgain = session.save();
  trace.greedy = (await fork.complete(prompts.len33.slice(0, 2), { maxTokens: 6, temperature: 0 })).tokens;
  return { ...trace, ...(await draftsOf(model, tokens)) };
}

/** Two states draft side by side; each takes in another number of tokens. One reads on for hidden states. */
async function draftsOf(model: Model, tokens: readonly number[]): Promise<Trace> {
  const { runtime } = coreOf(model);
  const [first, second] = [runtime.createState(), runtime.createState()];
  await runtime.step([first, second].map((state) => ({ state, tokens: tokens.slice(0, 7), logits: 'none' })));
  const draft = { tokens: tokens.slice(7, 12), logits: 'all', draft: true } as const;
  const [drafted] = await runtime.step([{ state: first, ...draft }]);
  await runtime.step([{ state: second, ...draft }]); // moves the first one's out of the way
  await runtime.accept(first, 2);
  await runtime.accept(second, 4);
  const read = await runtime.step([first, second].map((state) => ({ state, tokens: [5], logits: 'last' })));
  const rest = { tokens: tokens.slice(12, 55), logits: 'all', output: 'hidden' } as const;
  const [hidden] = await runtime.step([{ state: first, ...rest }]);
  for (const state of [first, second]) state.dispose();
  return { drafted: drafted!, afterFirst: read[0]!, afterSecond: read[1]!, hidden: hidden! };
}

function assertSameTrace(found: Trace, expected: Trace, what: string): void {
  assert.deepEqual(Object.keys(found), Object.keys(expected), what);
  for (const [name, numbers] of Object.entries(found))
    assertSameNumbers(numbers, expected[name]!, `${what}: ${name}`);
}

const everywhere = (layers: number): number[] => Array.from({ length: layers }, (_, layer) => layer);

/** Every cut in two, and the one into most. */
const allCuts = (layers: number): number[][] => [
  ...everywhere(layers).map((cut) => [cut]),
  everywhere(layers),
];

async function traceAt(
  source: StateModel,
  options: LoadModelOptions,
  cuts: readonly number[],
): Promise<Trace> {
  await using model = await loadModel(source.folder, { ...OPTIONS, ...options, cuts });
  assert.equal(coreOf(model).runtime.backend.arenas.length, cuts.length + 1);
  return await traceOf(model, source);
}

async function checkCuts(
  source: StateModel,
  options: LoadModelOptions,
  cutsOf: (layers: number) => readonly (readonly number[])[] = allCuts,
): Promise<void> {
  await using whole = await loadModel(source.folder, { ...OPTIONS, ...options });
  const expected = await traceOf(whole, source);
  for (const cuts of cutsOf(whole.spec.layers.length))
    assertSameTrace(await traceAt(source, options, cuts), expected, `cuts ${cuts}`);
}

/** The same kinds of layers as in others: cut into most only. */
const SIMILAR = ['jamba-dense-mqa', 'jamba-period4', 'jamba-corners', 'mamba-tiny', 'llama-tiny'];
const OTHERS = FAMILY_MODELS.filter((family) => !STATE_MODELS.some(({ name }) => name === family));
const intoMost = (layers: number): number[][] => [everywhere(layers)];

describe('a model cut over several arenas computes the same', () => {
  for (const source of STATE_MODELS.filter(({ name }) => !SIMILAR.includes(name)))
    it(`${source.name}, wasm with 2 threads`, () => checkCuts(source, { threads: 2 }));
  for (const source of STATE_MODELS.filter(({ name }) => SIMILAR.includes(name)))
    it(`${source.name}, wasm with 1 thread`, () => checkCuts(source, { threads: 1 }, intoMost));
  for (const source of STATE_MODELS.slice(-6))
    it(`${source.name}, reference`, () =>
      checkCuts(source, { backend: 'reference', batchTokens: 80 }, intoMost));
  for (const name of OTHERS)
    it(`${name}, wasm with 3 threads`, () =>
      checkCuts(
        { name, folder: familyPath(name), prompts: readFamilyGolden(name).prompts },
        { threads: 3 },
        intoMost,
      ));
  for (const name of ['qwen3.5-untied', 'gemma3-p6'] as const)
    it(`${name} in packed layouts, a cache of bytes`, () =>
      checkCuts(
        { name, folder: familyPath(name, 'q8_0'), prompts: readFamilyGolden(name).prompts },
        { threads: 2, activations: 'int8', cacheType: 'q8' },
        (layers) => [[1], [0, layers - 1]],
      ));
});

describe('an embedder cut over several arenas gives the same vectors', () => {
  const TEXTS = ['the resonators of a marimba', 'tuned bars', 'of rosewood, '.repeat(12)];
  const folder = (name: string) =>
    fileURLToPath(new URL(`../../../fixtures/embedders/${name}`, import.meta.url));
  const vectors = async (name: string, cuts?: number[]): Promise<Float32Array[]> => {
    await using model = await loadModel(folder(name), { threads: 2, activations: 'f32', cuts });
    return (await model.embed(TEXTS)).map(({ vector }) => vector);
  };
  for (const name of ['bert', 'modernbert', 'qwen3-embedding', 'embedding-gemma'])
    it(name, async () => {
      const expected = await vectors(name);
      for (const cuts of [[1], [0, 1]])
        for (const [i, vector] of (await vectors(name, cuts)).entries())
          assertSameNumbers(vector, expected[i]!, `cuts ${cuts}, text ${i}`);
    });
});

it('a value that crosses keeps its memory until it has crossed', () => {
  const p = new PlanBuilder({ codesByteLength: () => 0 });
  const crossing = zeros(p, p.value(16));
  const later = zeros(p, p.value(16));
  const plan = p.finish(zeros(p, p.cross(1, crossing)));
  const { offsets } = placeBuffers(plan, () => 1);
  assert.notEqual(offsets[crossing.buffer], offsets[later.buffer]);
  assert.throws(() => p.cross(2, p.slice(p.value(16), 8, 8)), /whole rows/);
  assert.throws(() => p.finish(p.cross(2, later)), /expected ops after a crossing/);
});

/** Records an op that writes a value and reads nothing. */
function zeros(p: PlanBuilder, value: Value): Value {
  p.record(
    copyOp,
    { set: 'rows', reads: [], writes: [value] },
    { ...matrix('x', value), ...matrix('y', value), columns: value.columns },
  );
  return value;
}

describe('saved sessions move between cuts', () => {
  for (const [a, source] of STATE_MODELS.slice(-6).entries())
    it(source.name, async () => {
      const random = seeded(a);
      const layers = await layersOf(source);
      const some = everywhere(layers).filter(() => random() < 0.5);
      const places = [[], [Math.floor(random() * layers)], some];
      const models = await Promise.all(places.map((cuts) => loadModel(source.folder, { ...OPTIONS, cuts })));
      try {
        const { len33, len200 } = source.prompts;
        const continued: Record<string, Float32Array> = {};
        for (const [from, writer] of models.entries()) {
          using session = writer.createSession();
          await session.prefill(len200.slice(0, 130));
          for (const [to, reader] of models.entries()) {
            using bytes = reader.restoreSession(session.save());
            using stream = await reader.restoreSessionFrom(new Blob([await streamed(session)]).stream());
            continued[`${from} to ${to}, bytes`] = await bytes.prefill(len33.slice(0, 3));
            continued[`${from} to ${to}, stream`] = await stream.prefill(len33.slice(0, 3));
          }
        }
        const expected = continued['0 to 0, bytes']!;
        for (const [name, logits] of Object.entries(continued)) assertSameNumbers(logits, expected, name);
      } finally {
        for (const model of models) await model.close();
      }
    });
});

async function layersOf({ folder }: StateModel): Promise<number> {
  await using checkpoint = await openCheckpointPath(folder);
  return readSpec(checkpoint).spec.layers.length;
}

/** What `saveTo` writes into a stream. */
async function streamed(session: ReturnType<Model['createSession']>): Promise<Uint8Array<ArrayBuffer>> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const [, bytes] = await Promise.all([session.saveTo(writable), new Response(readable).bytes()]);
  return bytes as Uint8Array<ArrayBuffer>;
}

describe('cuts', () => {
  const folder = familyPath('granite');
  for (const cuts of [[3], [2, 1], [1, 1], [1.5], [-1], 'all'])
    it(`are refused unless they are ascending layers: ${JSON.stringify(cuts)}`, async () => {
      await assert.rejects(loadModel(folder, { cuts: cuts as number[] }), {
        name: 'UsageError',
        message: /cuts: expected ascending layers from 0 to 2, found/,
      });
    });

  it('leave a session as it was where one arena has no memory for it', async () => {
    await using model = await loadModel(familyPath('gemma3'), { ...OPTIONS, cuts: [2] });
    const { len33, len200 } = readFamilyGolden('gemma3').prompts;
    using session = model.createSession();
    await session.prefill(len200.slice(0, 60));
    using untouched = session.fork();
    const { arena } = coreOf(model).runtime.stateMemory.arenas[1]!;
    const { allocate } = arena;
    arena.allocate = () => {
      throw new Error('no memory');
    };
    await assert.rejects(session.prefill(len33.slice(0, 9)), /no memory/);
    assert.throws(() => session.fork(), /no memory/);
    arena.allocate = allocate;
    assert.equal(session.position, 60);
    assertSameNumbers(await session.prefill([3]), await untouched.prefill([3]), 'logits');
  });
});
