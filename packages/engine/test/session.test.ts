// Sessions as values: fork, snapshot, rewind, save and restore continue exactly as if nothing had happened.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type LoadModelOptions, loadModel, type Model, StateError, UsageError } from '../src/index.ts';
import { coreOf } from '../src/model/model.ts';
import type { ContinueTask } from './continue-session.ts';
import {
  GOLDEN_MODELS,
  type GoldenModel,
  largestDifference,
  modelFolder,
  readGolden,
  TOLERANCE,
} from './golden.ts';
import { sharedModel } from './shared-models.ts';
import { STATE_MODELS } from './state-models.ts';

const EXACT: LoadModelOptions = { threads: 1, cacheType: 'f32', activations: 'f32' };
const openFolder = (folder: string, options: LoadModelOptions = {}) =>
  sharedModel(folder, { ...EXACT, ...options });
const open = (name: GoldenModel, options: LoadModelOptions = {}) => openFolder(modelFolder(name), options);

async function same(
  model: Model,
  tokens: readonly number[],
  logits: ArrayLike<number>,
  what: string,
): Promise<void> {
  const fresh = model.createSession();
  const difference = largestDifference(await fresh.prefill(tokens), logits);
  assert.ok(difference <= TOLERANCE, `${what}: logits differ by ${difference}`);
  fresh.close();
}

/** Root mean square of the differences over that of the expected values. */
function relativeError(found: ArrayLike<number>, expected: readonly number[]): number {
  const squares = (f: (v: number, i: number) => number) =>
    expected.reduce((sum, v, i) => sum + f(v, i) ** 2, 0);
  return Math.sqrt(squares((v, i) => v - found[i]!) / squares((v) => v));
}

describe('sessions', () => {
  for (const { name, folder, prompts } of STATE_MODELS) {
    const text = prompts.len200;

    it(`${name}: a fork and its origin go separate ways`, async () => {
      const model = await openFolder(folder);
      const origin = model.createSession();
      await origin.prefill(text.slice(0, 70));
      const fork = origin.fork();
      const left = await origin.prefill(text.slice(70, 90));
      const right = await fork.prefill(text.slice(120, 150));
      await same(model, text.slice(0, 90), left, 'origin');
      await same(model, [...text.slice(0, 70), ...text.slice(120, 150)], right, 'fork');
    });

    it(`${name}: a snapshot can be restored more than once`, async () => {
      const model = await openFolder(folder);
      const session = model.createSession();
      await session.prefill(text.slice(0, 65));
      const snapshot = session.snapshot();
      for (const end of [80, 131]) {
        await session.prefill(text.slice(65, end));
        session.restore(snapshot);
        assert.equal(session.position, 65);
        await same(
          model,
          text.slice(0, end),
          await session.prefill(text.slice(65, end)),
          `after restore, to ${end}`,
        );
        session.restore(snapshot);
      }
      snapshot.close();
      assert.throws(() => session.restore(snapshot), { name: 'UsageError', code: 'closed' });
    });

    it(`${name}: rewind reads only what changed`, async () => {
      const model = await openFolder(folder);
      const session = model.createSession();
      await session.prefill(text.slice(0, 100));
      await session.prefill(text.slice(100, 150));
      const report = await session.rewind(120);
      assert.deepEqual([report.reusedTokens, report.computedTokens], [100, 20]);
      await same(model, text.slice(0, 140), await session.prefill(text.slice(120, 140)), 'after rewind');
      const back = await session.rewind(100);
      assert.deepEqual([back.reusedTokens, back.computedTokens, back.reason], [100, 0, null]);
    });

    it(`${name}: prompts shorter than the conv width, one token at a time`, async () => {
      const model = await openFolder(folder);
      const session = model.createSession();
      for (let i = 0; i < 6; i++) {
        const restored = model.restoreSession(session.save());
        const logits = await restored.prefill(text.slice(i, i + 1));
        await same(model, text.slice(0, i + 1), logits, `token ${i}`);
        await session.prefill(text.slice(i, i + 1));
      }
    });

    it(`${name}: saved, restored in a new process, continued (f32, f16 and q8 cache)`, async () => {
      const files = mkdtempSync(join(tmpdir(), 'marimba-state-'));
      try {
        const logits: Float32Array[] = [];
        const tasks: ContinueTask[] = [];
        for (const cacheType of ['f32', 'f16', 'q8'] as const) {
          const options = { ...EXACT, cacheType };
          const session = (await openFolder(folder, options)).createSession();
          await session.prefill(text.slice(0, 150));
          const [saved, output] = [join(files, cacheType), join(files, `${cacheType}.logits`)];
          writeFileSync(saved, session.save());
          tasks.push({ source: folder, options, saved, tokens: text.slice(150), output });
          logits.push(await session.prefill(text.slice(150)));
          session.close();
        }
        const script = fileURLToPath(new URL('continue-session.ts', import.meta.url));
        execFileSync(process.execPath, [script, JSON.stringify(tasks)], { stdio: 'pipe' });
        tasks.forEach(({ output, options }, i) => {
          const continued = new Float32Array(new Uint8Array(readFileSync(output)).buffer);
          const difference = largestDifference(continued, logits[i]!);
          assert.ok(difference <= TOLERANCE, `${options.cacheType} cache: logits differ by ${difference}`);
        });
      } finally {
        rmSync(files, { recursive: true });
      }
    });
  }

  it('a 16-bit cache moves logits by less than 0.1 % of their spread, an 8-bit one by less than 5 %', async () => {
    for (const name of GOLDEN_MODELS) {
      if (name === 'mamba-tiny') continue; // has no attention
      const { prompts, logits_last } = readGolden(name);
      const error: Record<string, number> = {};
      for (const cacheType of ['f16', 'q8'] as const) {
        const model = await open(name, { cacheType });
        error[cacheType] = relativeError(
          await model.createSession().prefill(prompts.len200),
          logits_last.len200,
        );
      }
      assert.ok(error.f16! > 1e-5 && error.f16! <= 1e-3, `${name}: f16 cache: ${error.f16}`);
      assert.ok(error.q8! > error.f16! && error.q8! <= 5e-2, `${name}: q8 cache: ${error.q8}`);
    }
  });
});

describe('saved sessions that do not fit are refused', () => {
  it('every byte of a small one flipped in turn', async () => {
    const model = await open('mamba-tiny');
    const session = model.createSession();
    await session.prefill([1, 2, 3]);
    const saved = session.save();
    for (let i = 0; i < saved.length; i++) {
      saved[i] = saved[i]! ^ 0x41;
      assert.throws(() => model.restoreSession(saved), StateError, `byte ${i}`);
      saved[i] = saved[i]! ^ 0x41;
    }
    for (const length of [0, 1, 19, saved.length - 1])
      assert.throws(() => model.restoreSession(saved.subarray(0, length)), StateError);
    assert.throws(() => model.restoreSession(new Uint8Array([...saved, 0])), StateError);
  });

  it('the state of another model, or of another cache type', async () => {
    const moe = await open('jamba-moe');
    const dense = await open('jamba-dense-mqa');
    const half = await open('jamba-moe', { cacheType: 'f16' });
    const session = moe.createSession();
    await session.prefill([1, 2, 3]);
    assert.throws(() => dense.restoreSession(session.save()), /fingerprint/);
    assert.throws(() => half.restoreSession(session.save()), /cache type/);
  });
});

describe('sessions that generate at the same time', () => {
  it('share passes over the weights, and get what they would get alone', async () => {
    const { prompts, greedy } = readGolden('jamba-moe');
    const model = await open('jamba-moe');
    const before = coreOf(model).runtime.replays;
    const answers = await Promise.all(
      (['len1', 'len7', 'len33', 'len200'] as const).map(async (name) => {
        const tokens: number[] = [];
        const options = { temperature: 0, maxTokens: 32, ignoreEos: true, speculate: false };
        for await (const event of model.createSession().generate(prompts[name], options))
          tokens.push(event.token);
        return [name, tokens] as const;
      }),
    );
    for (const [name, tokens] of answers) assert.deepEqual(tokens, greedy[name].tokens, name);
    // 31 decoding steps each, and the prompts: alone they would be 4 × 32 passes.
    const passes = coreOf(model).runtime.replays - before;
    assert.ok(passes < 50, `${passes} passes`);
  });
});

describe('a token that was sampled and not read', () => {
  const options = { temperature: 0, ignoreEos: true } as const;

  it('is read before whatever follows, by whichever way', async () => {
    const model = await open('jamba-corners');
    const { len33 } = readGolden('jamba-corners').prompts;
    const session = model.createSession();
    const { tokens } = await session.complete(len33, { ...options, maxTokens: 5 });
    const held = [...len33, ...tokens];
    assert.deepEqual(session.tokens, held, 'the whole answer belongs to the session');
    assert.equal(session.position, 38);
    const expected = await model.createSession().prefill([...held, 7, 8]);
    const close = (logits: ArrayLike<number>, what: string) =>
      assert.ok(largestDifference(expected, logits) <= TOLERANCE, what);
    const snapshot = session.snapshot();
    close(await session.fork().prefill([7, 8]), 'a fork');
    close(await model.restoreSession(session.save()).prefill([7, 8]), 'a saved session');
    const [step] = await model.step([{ session: session.fork(), tokens: [7, 8], logits: 'all' }]);
    assert.equal(step!.logits!.length, 2 * model.vocabularySize, 'no row for it');
    close(step!.logits!.subarray(model.vocabularySize), 'a step');
    const continued = session.fork();
    await continued.complete([7, 8], { maxTokens: 0 });
    close(continued.logits!, 'a generation');
    close(await session.prefill([7, 8]), 'a prefill');
    session.restore(snapshot);
    close(await session.prefill([7, 8]), 'a snapshot');
    await session.rewind(38);
    close(await session.prefill([7, 8]), 'a rewind to it');
    await session.rewind(37);
    await session.prefill([7]);
    assert.deepEqual(session.tokens, [...held.slice(0, 37), 7], 'a rewind before it drops it');
  });

  it('makes two answers as long as one', async () => {
    const model = await open('jamba-moe');
    const { len33 } = readGolden('jamba-moe').prompts;
    const whole = await model.createSession().complete(len33, { ...options, maxTokens: 12 });
    const session = model.createSession();
    const first = await session.complete(len33, { ...options, maxTokens: 5 });
    const second = await session.complete([], { ...options, maxTokens: 7 });
    assert.deepEqual([...first.tokens, ...second.tokens], whole.tokens);
    assert.deepEqual(second.usage, { promptTokens: 38, reusedTokens: 37, generatedTokens: 7 });
  });
});

describe('a generation', () => {
  it('keeps its session busy until it ends, and is aborted by the rule of all', async () => {
    const model = await open('jamba-corners');
    const { len33 } = readGolden('jamba-corners').prompts;
    const session = model.createSession();
    const generation = session.generate(len33, { temperature: 0, ignoreEos: true });
    const [reader] = [generation[Symbol.asyncIterator]()];
    await session.fork().prefill([1]); // nothing runs yet
    await reader.next();
    for (const use of [() => session.fork(), () => session.snapshot(), () => session.close()])
      assert.throws(use, { name: 'UsageError', code: 'busy', message: /running generation/ });
    await assert.rejects(session.prefill([1]), { code: 'busy' });
    await generation.close();
    assert.deepEqual(session.tokens, [...len33, ...generation.tokens]);

    const abort = new AbortController();
    const aborted = session.generate([5], { temperature: 0, ignoreEos: true, signal: abort.signal });
    const before = [...session.tokens];
    for await (const _ of aborted) if (aborted.tokens.length === 3) abort.abort(new Error('enough'));
    await assert.rejects(aborted.result, /enough/);
    assert.equal(aborted.tokens.length, 3);
    assert.deepEqual(session.tokens, [...before, 5, ...aborted.tokens]);
    await same(model, [...session.tokens, 6], await session.prefill([6]), 'after an abort');
  });

  it('refuses prompts and options that mean nothing, at once', async () => {
    const model = await open('jamba-corners');
    const session = model.createSession();
    for (const prompt of [null, undefined, 5, {}, { messages: 'Hi' }, [1, 1000], []])
      assert.throws(() => session.generate(prompt as never), UsageError, JSON.stringify(prompt));
    assert.throws(() => session.generate([1], { max_tokens: 5 } as never), /Write maxTokens/);
    assert.throws(() => session.generate([1], null as never), /options: expected an object, found null/);
    assert.throws(() => session.generate('text'), /has no tokenizer: pass token ids/);
    for (const bytes of [undefined, null, 'text'])
      assert.throws(() => model.restoreSession(bytes as never), UsageError);
    assert.equal(session.position, 0);
  });
});

describe('memory and checkpoints', () => {
  it('are told: recurrent state, own and shared pages, positions', async () => {
    const model = await open('jamba-corners', { prefixCacheBytes: 0 });
    const text = readGolden('jamba-corners').prompts.len200;
    const { cacheBytesPerToken, recurrentBytes } = model.memory;
    using session = model.createSession();
    assert.deepEqual(session.memory(), {
      recurrentBytes: 0,
      ownPageBytes: 0,
      sharedPageBytes: 0,
      checkpointBytes: 0,
    });
    await session.prefill(text.slice(0, 70));
    const alone = session.memory();
    assert.equal(alone.recurrentBytes, recurrentBytes);
    assert.equal(alone.ownPageBytes, 128 * cacheBytesPerToken, 'two pages of 64 positions');
    assert.equal(alone.sharedPageBytes, 0);
    const fork = session.fork();
    await fork.prefill(text.slice(70, 80));
    const { ownPageBytes, sharedPageBytes } = fork.memory();
    assert.deepEqual([ownPageBytes, sharedPageBytes], [64 * cacheBytesPerToken, 64 * cacheBytesPerToken]);
    assert.ok(session.memory().sharedPageBytes >= sharedPageBytes);
    fork.close();
    assert.equal(session.memory().sharedPageBytes, 0);
  });

  it('of a model are told in figures', async () => {
    const model = await open('jamba-corners', { prefixCacheBytes: 0 });
    const before = model.memory;
    assert.ok(before.usedBytes >= before.weightBytes + before.activationBytes);
    assert.equal(before.limitBytes, 2 ** 32);
    using session = model.createSession();
    await session.prefill([1, 2, 3]);
    assert.ok(model.memory.usedBytes >= before.usedBytes + before.recurrentBytes);
    const { parameters, family, threads, backend, cacheType, contextLength } = model.describe();
    const sizes = coreOf(model).weights.list.map(({ shape }) => shape.reduce((size, n) => size * n, 1));
    assert.equal(
      parameters,
      sizes.reduce((sum, size) => sum + size, 0),
    );
    assert.deepEqual(
      [family, threads, cacheType, contextLength],
      [model.spec.family, 1, 'f32', model.contextLength],
    );
    assert.match(backend, /SIMD/);
  });

  it('pinned ones outlive many others, and go when they are closed or passed', async () => {
    const model = await open('jamba-corners', { prefixCacheBytes: 0 });
    const text = readGolden('jamba-corners').prompts.len200;
    const session = model.createSession();
    await session.prefill(text.slice(0, 33));
    const pinned = session.checkpoint();
    assert.deepEqual([pinned.position, pinned.pinned], [33, true]);
    for (let i = 33; i < 63; i++) await session.prefill(text.slice(i, i + 1));
    const positions = () => session.checkpoints.map(({ position }) => position);
    assert.ok(positions().length <= 9 && positions().includes(33), positions().join());
    assert.equal((await session.rewind(33)).computedTokens, 0);
    assert.ok(pinned.byteLength > 0);
    pinned.close();
    assert.ok(!positions().includes(33));
    const next = session.checkpoint();
    await session.rewind(10);
    assert.equal(next.byteLength, 0, 'it was passed');
  });

  it('of one position are let go of one by one', async () => {
    const model = await open('jamba-corners', { prefixCacheBytes: 0 });
    const { len33 } = readGolden('jamba-corners').prompts;
    using session = model.createSession();
    const positions = () => session.checkpoints.map(({ position, pinned }) => [position, pinned]);
    await session.prefill(len33);
    const [first, second] = [session.checkpoint(), session.checkpoint()];
    first.close();
    first.close();
    assert.deepEqual([first.pinned, first.byteLength], [false, 0]);
    assert.ok(second.pinned && second.byteLength > 0);
    assert.deepEqual(positions().at(-1), [33, true]);
    second.close();
    assert.ok(!positions().some(([position]) => position === 33));
    assert.equal(second.byteLength, 0);

    // One that the session keeps by itself is evicted by the session, not by whoever pinned it meanwhile.
    await session.complete([1, 2, 3], { maxTokens: 1, temperature: 0, ignoreEos: true });
    await session.rewind(36);
    assert.deepEqual(positions().at(-1), [36, false]);
    const third = session.checkpoint();
    assert.deepEqual(positions().at(-1), [36, true]);
    third.close();
    assert.deepEqual(positions().at(-1), [36, false]);
    const fourth = session.checkpoint();
    session.checkpoints.at(-1)!.close();
    assert.deepEqual([fourth.pinned, fourth.byteLength], [false, 0]);
    fourth.close();
    assert.ok(!positions().some(([position]) => position === 36));
  });
});

describe('logits into an array of the caller', () => {
  it('are those of a fresh one, in it and nowhere else', async () => {
    const model = await open('jamba-corners');
    const { vocabularySize } = model;
    const origin = model.createSession();
    await origin.prefill([1, 2, 3]);
    for (const [logits, rows] of [
      ['last', 1],
      ['all', 2],
      ['none', 0],
    ] as const) {
      const [fresh] = await model.step([{ session: origin.fork(), tokens: [4, 5], logits }]);
      const memory = new Float32Array((rows + 2) * vocabularySize).fill(7);
      const into = memory.subarray(vocabularySize, (rows + 1) * vocabularySize);
      const [given] = await model.step([{ session: origin.fork(), tokens: [4, 5], logits, into }]);
      if (rows === 0) assert.equal(given!.logits, null);
      else assert.equal(given!.logits, into);
      if (rows) assert.deepEqual(into, fresh!.logits);
      for (const edge of [memory.subarray(0, vocabularySize), memory.subarray(-vocabularySize)])
        assert.ok(edge.every((value) => value === 7));
    }
  });

  it('of another size are refused', async () => {
    const model = await open('jamba-corners');
    const session = model.createSession();
    const into = new Float32Array(model.vocabularySize + 1);
    await assert.rejects(
      model.step([{ session, tokens: [1], into }]),
      /into: expected room for 192 logits, found 193/,
    );
    assert.equal(session.position, 0);
  });
});

describe('wrong use of sessions', () => {
  it('is refused with a reason, and the session stays as it was', async () => {
    const model = await open('jamba-corners');
    const session = model.createSession();
    await assert.rejects(session.prefill([]), UsageError);
    await assert.rejects(session.prefill([192]), /vocabulary size 192/);
    await assert.rejects(session.prefill([-1]), UsageError);
    await assert.rejects(
      model.step([
        { session, tokens: [1] },
        { session, tokens: [2] },
      ]),
      /session 2 of 2 appears twice/,
    );
    await assert.rejects(session.rewind(5), StateError);
    assert.equal(session.position, 0);
    const reading = session.prefill([1, 2, 3]);
    assert.throws(() => session.snapshot(), /session is busy: await the running step/);
    await reading;
    assert.equal(session.position, 3);
    session.close();
    await assert.rejects(session.prefill([1]), /closed/);
  });

  it('a session or snapshot of another model is refused: of another file, and of the same file loaded again', async () => {
    const [first, again, other] = await Promise.all([
      loadModel(modelFolder('jamba-corners'), EXACT),
      loadModel(modelFolder('jamba-corners'), EXACT),
      open('jamba-moe'),
    ]);
    try {
      const foreign = first.createSession();
      await foreign.prefill([1, 2, 3]);
      const snapshot = foreign.snapshot();
      for (const model of [again, other]) {
        const own = model.createSession();
        const before = await own.prefill([1, 2, 3]);
        const requests = [
          { session: own, tokens: [4] },
          { session: foreign, tokens: [4] },
        ];
        await assert.rejects(model.step(requests), {
          name: 'UsageError',
          message: /session 2 of 2 belongs to another model/,
        });
        assert.throws(() => own.restore(snapshot), { name: 'UsageError', message: /another model/ });
        assert.deepEqual([own.position, foreign.position], [3, 3]);
        assert.deepEqual(await model.createSession().prefill([1, 2, 3]), before, 'nothing was damaged');
        await same(model, [1, 2, 3, 4], await own.prefill([4]), 'its own session continues');
      }
      await same(first, [1, 2, 3, 4], await foreign.prefill([4]), 'the foreign session continues');
    } finally {
      await Promise.all([first, again].map((model) => model.close()));
    }
  });

  it('more context than allowed is refused', async () => {
    const model = await open('jamba-corners', { contextLength: 10 });
    const session = model.createSession();
    await assert.rejects(session.prefill(new Array<number>(11).fill(1)), /10 tokens of context/);
  });

  it('a generation says how far its prompt is read', async () => {
    const model = await open('jamba-corners', { batchTokens: 8 });
    const { prompts } = readGolden('jamba-corners');
    const session = model.createSession();
    const generation = session.generate(prompts.len200, { maxTokens: 1 });
    assert.deepEqual([generation.usage.promptTokens, generation.promptTokensRead], [0, 0]);
    const seen: number[] = [];
    let ended = false;
    const result = generation.result.finally(() => (ended = true));
    while (!ended) {
      seen.push(generation.promptTokensRead);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await result;
    assert.ok(seen.some((read) => read > 0 && read < 200));
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    assert.equal(generation.promptTokensRead, generation.usage.promptTokens);
    session.close();
  });

  it('an abort between replays leaves the session at a position that it knows', async () => {
    const model = await open('jamba-corners', { batchTokens: 8 });
    const { prompts } = readGolden('jamba-corners');
    const session = model.createSession();
    const abort = new AbortController();
    const reading = session.prefill(prompts.len200, { signal: abort.signal });
    abort.abort(new Error('enough'));
    await assert.rejects(reading, /enough/);
    const { position } = session;
    assert.ok(position < 200 && position % 8 === 0);
    const rest = await session.prefill(prompts.len200.slice(position));
    await same(model, prompts.len200, rest, 'after the abort');
  });
});
