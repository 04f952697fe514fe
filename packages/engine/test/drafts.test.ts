// Drafts at the runtime: a state that takes in the first tokens of a draft is where reading just those leads,
// whatever was drafted, by however many sessions, in whatever order they decide. All kinds of mixer that carry
// state, on the reference and with one and two threads. Where a pass has the same rows, the bits are the same;
// products of other numbers of rows, and attention of other numbers of queries, differ in the last bits.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasKind } from '../src/architecture/spec.ts';
import { type LoadModelOptions, loadModel, ModelError } from '../src/index.ts';
import { coreOf } from '../src/model/model.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import type { SessionState } from '../src/state/session-state.ts';
import { largestDifference, modelFolder, seeded } from './golden.ts';
import { familyPath } from './golden-families.ts';

const MODELS: Readonly<Record<string, string>> = {
  'Mamba and attention': modelFolder('jamba-corners'),
  Mamba: modelFolder('mamba-tiny'),
  attention: modelFolder('llama-tiny'),
  'short convolutions': familyPath('lfm2'),
  'Mamba-2': familyPath('mamba2'),
  'Mamba-2, attention and experts': familyPath('granite-h-moe'),
  'gated DeltaNet': familyPath('qwen3.5-untied'),
  'mixers side by side': familyPath('falcon-h1'),
};
const SETTINGS: readonly LoadModelOptions[] = [
  { backend: 'reference' },
  { backend: 'wasm', threads: 1 },
  { backend: 'wasm', threads: 2 },
];
const EXACT: LoadModelOptions = { cacheType: 'f32', activations: 'f32' };
const LENGTH = 9;

const tokensOf = (random: () => number, count: number): number[] =>
  Array.from({ length: count }, () => Math.floor(random() * 60));

const read = async (runtime: Runtime, state: SessionState, tokens: readonly number[]) =>
  (await runtime.step([{ state, tokens, logits: 'all' }]))[0]!;
const draft = async (runtime: Runtime, state: SessionState, tokens: readonly number[]) =>
  (await runtime.step([{ state, tokens, logits: 'all', draft: true }]))[0]!;

/** The recurrent part, and the logits of a token that follows: these see the cache. */
async function traceOf(runtime: Runtime, state: SessionState): Promise<Float32Array> {
  const recurrent = state.parts.flatMap(({ recurrentBytes }) => [
    ...new Float32Array(recurrentBytes.slice().buffer),
  ]);
  const fork = state.fork();
  const logits = await read(runtime, fork, [7]);
  fork.dispose();
  return Float32Array.of(state.position, ...recurrent, ...logits);
}

const same = (found: Float32Array, expected: Float32Array, what: string, tolerance = 0): void => {
  const difference = largestDifference(found, expected);
  assert.ok(difference <= tolerance, `${what}: differs by ${difference}`);
};

for (const [name, folder] of Object.entries(MODELS)) {
  describe(`drafts, ${name}`, () => {
    for (const setting of SETTINGS)
      it(`${setting.backend}, threads: ${setting.threads ?? 1}: taking in tokens has the bits of reading them`, async () => {
        await using model = await loadModel(folder, { ...EXACT, ...setting });
        const { runtime, spec } = coreOf(model);
        const attends = spec.layers.some((layer) => hasKind(layer, 'attention'));
        const random = seeded(3);
        const before = tokensOf(random, 70);
        const drafted = tokensOf(random, LENGTH);
        for (const count of [0, 1, 2, 4, LENGTH]) {
          const [plain, ahead] = [runtime.createState(), runtime.createState()];
          for (const state of [plain, ahead]) await read(runtime, state, before);
          const untouched = await traceOf(runtime, ahead);
          const logits = await draft(runtime, ahead, drafted);
          same(await traceOf(runtime, ahead), untouched, 'a draft moves nothing');
          const tolerance = count < LENGTH && attends ? 1e-4 : 0;
          await runtime.accept(ahead, count);
          if (count) {
            // The company makes it a pass of the same rows, with the same choice of experts.
            const company = {
              state: runtime.createState(),
              tokens: drafted.slice(count),
              logits: 'all',
            } as const;
            await read(runtime, company.state, [...before, ...drafted.slice(0, count)]);
            const own = { state: plain, tokens: drafted.slice(0, count), logits: 'all' } as const;
            const [expected] = await runtime.step(count < LENGTH ? [own, company] : [own]);
            same(logits.subarray(0, expected!.length), expected!, `logits of ${count}`, tolerance);
            company.state.dispose();
          }
          same(
            await traceOf(runtime, ahead),
            await traceOf(runtime, plain),
            `${count} of ${LENGTH}`,
            tolerance,
          );
          for (const state of [plain, ahead]) state.dispose();
        }
      });

    it('sessions that draft side by side, decide in any order, and have company', async () => {
      await using model = await loadModel(folder, { ...EXACT, threads: 2 });
      const { runtime } = coreOf(model);
      for (let seed = 0; seed < 4; seed++) {
        const random = seeded(seed);
        const upTo = (most: number) => 1 + Math.floor(random() * most);
        const sessions = Array.from({ length: 5 }, () => ({
          plain: runtime.createState(),
          ahead: runtime.createState(),
        }));
        for (const { plain, ahead } of sessions) {
          const start = tokensOf(random, upTo(20));
          await runtime.step([plain, ahead].map((state) => ({ state, tokens: start, logits: 'none' })));
        }
        const text = tokensOf(random, 600);
        const company = runtime.createState();
        const reading = read(runtime, company, text);
        for (let round = 0; round < 3; round++) {
          const drafts = sessions.map(() => tokensOf(random, upTo(12)));
          await Promise.all(sessions.map(({ ahead }, i) => draft(runtime, ahead, drafts[i]!)));
          for (const i of [...sessions.keys()].sort(() => random() - 0.5)) {
            const count = upTo(drafts[i]!.length);
            const { plain, ahead } = sessions[i]!;
            await runtime.accept(ahead, count);
            await read(runtime, plain, drafts[i]!.slice(0, count));
          }
        }
        for (const { plain, ahead } of sessions)
          same(await traceOf(runtime, ahead), await traceOf(runtime, plain), `seed ${seed}`, 1e-4);
        const alone = runtime.createState();
        same(await reading, await read(runtime, alone, text), 'the company', 1e-4);
        for (const state of [company, alone, ...sessions.flatMap((s) => [s.plain, s.ahead])]) state.dispose();
      }
    });
  });
}

it('a draft is decided on once, for no more than was drafted', async () => {
  await using model = await loadModel(modelFolder('jamba-corners'), EXACT);
  const { runtime } = coreOf(model);
  const state = runtime.createState();
  await assert.rejects(runtime.accept(state, 1), /draft/);
  await draft(runtime, state, [1, 2, 3]);
  await assert.rejects(runtime.accept(state, 4), /a draft of 4 tokens/);
  await draft(runtime, state, [1, 2, 3]);
  await runtime.accept(state, 3);
  await assert.rejects(runtime.accept(state, 1), /draft/);
  await assert.rejects(draft(runtime, state, Array(runtime.draftRows + 1).fill(1)), /at most/);
  assert.equal(state.position, 3);
});

it('an answer goes on without drafts where there is no memory for them', async () => {
  for (const threads of [1, 2])
    for (const short of ['activations', 'program', 'profile']) {
      await using model = await loadModel(modelFolder('jamba-corners'), {
        ...EXACT,
        threads,
        prefixCacheBytes: 0,
      });
      const { arena } = coreOf(model).runtime.backend;
      const answer = async (speculate: boolean) => {
        using session = model.createSession();
        const prompt = Array.from({ length: 40 }, (_, i) => i % 4);
        return await session.complete(prompt, { maxTokens: 20, temperature: 0, ignoreEos: true, speculate });
      };
      const expected = await answer(false);
      const { usedBytes } = arena;
      const allocate = arena.allocate.bind(arena);
      let refusals = 0;
      arena.allocate = (byteLength, what) => {
        if (what !== short) return allocate(byteLength, what);
        refusals++;
        throw new ModelError('no memory', { code: 'out-of-memory' });
      };
      assert.deepEqual((await answer(true)).tokens, expected.tokens, short);
      assert.deepEqual([refusals, arena.usedBytes], [1, usedBytes], short);
      arena.allocate = allocate;
      assert.deepEqual((await answer(true)).tokens, expected.tokens, `${short}, with memory`);
    }
});

it('what waits of drafts is counted, and ends with them', async () => {
  await using model = await loadModel(modelFolder('jamba-corners'), EXACT);
  const { runtime } = coreOf(model);
  const [one, other] = [runtime.createState(), runtime.createState()];
  await draft(runtime, one, [1, 2, 3]);
  const { activationBytes } = model.memory;
  await draft(runtime, other, [4]);
  assert.ok(model.memory.activationBytes > activationBytes);
  await runtime.accept(one, 2);
  await runtime.accept(other, 1).catch(() => {});
  assert.equal(model.memory.activationBytes, activationBytes);
});

it('a draft whose pass failed is not decided on', async () => {
  await using model = await loadModel(modelFolder('jamba-corners'), EXACT);
  const { runtime } = coreOf(model);
  const state = runtime.createState();
  await draft(runtime, state, [1, 2]);
  const { run } = runtime.backend;
  runtime.backend.run = () => Promise.reject(new Error('lost'));
  await assert.rejects(draft(runtime, state, [3, 4]), /lost/);
  runtime.backend.run = run;
  await assert.rejects(runtime.accept(state, 1), /draft/);
  assert.equal(state.position, 0);
  await draft(runtime, state, [5]);
  await runtime.accept(state, 1);
});

/** Makes one run in 24 fail, half of them after the work was done. Returns how many have, and an end to it. */
function failNowAndThen(runtime: Runtime, random: () => number): { failed: () => number; end: () => void } {
  const { backend } = runtime;
  const { run } = backend;
  let failed = 0;
  const mayFail = () => {
    if (random() >= 1 / 48) return;
    failed++;
    throw new Error('lost');
  };
  backend.run = async (...range) => {
    mayFail();
    await run.apply(backend, range);
    mayFail();
  };
  return {
    failed: () => failed,
    end: () => {
      backend.run = run;
    },
  };
}

for (const name of ['Mamba and attention', 'gated DeltaNet', 'mixers side by side'])
  it(`${name}: sessions hold what they say, however generations end and passes fail`, async () => {
    await using model = await loadModel(MODELS[name]!, { ...EXACT, threads: 2, batchTokens: 16 });
    const { runtime } = coreOf(model);
    const random = seeded(8);
    const upTo = (most: number) => 1 + Math.floor(random() * most);
    const prompt = () => Array.from({ length: upTo(40) }, () => upTo(2));
    // Of two tokens: drafts are frequent, and right for a part.
    const options = {
      temperature: 1,
      logitBias: { 1: 100, 2: 100 },
      ignoreEos: true,
      speculate: true,
    } as const;
    let accepted = 0;
    const { accept } = runtime;
    runtime.accept = (state, count) => {
      accepted += count;
      return accept.call(runtime, state, count);
    };
    const sessions = Array.from({ length: 4 }, () => model.createSession());
    let failures = 0;
    for (let round = 0; round < 12; round++) {
      const chaos = failNowAndThen(runtime, random);
      const generate = async (session: (typeof sessions)[number]) => {
        let left = upTo(40);
        const generation = session.generate(prompt(), { ...options, maxTokens: upTo(30), seed: upTo(99) });
        for await (const _ of generation) if (--left === 0) break;
      };
      const ends = await Promise.allSettled(sessions.map(generate));
      chaos.end();
      failures += chaos.failed();
      for (const end of ends) if (end.status === 'rejected') assert.match(String(end.reason), /lost/);
      for (const session of sessions) {
        using fork = session.fork();
        using plain = model.createSession();
        const expected = await plain.prefill([...session.tokens, 5]);
        same(await fork.prefill([5]), expected, `round ${round}`, 1e-3);
      }
    }
    assert.ok(failures > 5 && accepted > 50, `${failures} failures, ${accepted} accepted`);
    for (const session of sessions) session.close();
  });
