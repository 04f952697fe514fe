// What a careless or hostile caller does: arrays that change meanwhile, wrong values among right ones, aborts
// beside other work, files with strange headers.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonValue } from '../src/formats/types.ts';
import { loadModel, type Model, ModelError, StateError, UsageError } from '../src/index.ts';
import { coreOf } from '../src/model/model.ts';
import { crc32 } from '../src/platform/crc32.ts';
import { largestDifference, modelFolder, readGolden, TOLERANCE } from './golden.ts';
import { sharedModel } from './shared-models.ts';

const open = (batchTokens?: number) =>
  sharedModel(modelFolder('jamba-corners'), { threads: 1, batchTokens, prefixCacheBytes: 0 });
const { len33, len200 } = readGolden('jamba-corners').prompts;
const greedy = { temperature: 0, ignoreEos: true } as const;

/** Fails, and lets the process end, where a promise would never settle. */
async function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: does not settle`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

describe('tokens that change meanwhile', () => {
  it('a session can be told to read its own tokens again', { timeout: 20_000 }, async () => {
    const model = await open();
    using session = model.createSession();
    await session.prefill(len33);
    await session.prefill(session.tokens);
    assert.deepEqual(session.tokens, [...len33, ...len33]);
    using other = model.createSession();
    await other.prefill(len33);
    await model.step([{ session: other, tokens: other.tokens }]);
    assert.deepEqual(other.tokens, [...len33, ...len33]);
  });

  it('the list that was asked for stays as it was', async () => {
    const model = await open();
    using session = model.createSession();
    await session.prefill(len33);
    const { tokens } = session;
    await session.prefill([1, 2]);
    assert.deepEqual(tokens, len33);
  });

  it('a caller may use its array again at once', async () => {
    const model = await open(8);
    using session = model.createSession();
    const mine = [...len33];
    const reading = session.prefill(mine);
    mine.fill(0);
    await reading;
    assert.deepEqual(session.tokens, len33);
    const prompt = [5, 6, 7];
    const generation = session.generate(prompt, { ...greedy, maxTokens: 0 });
    prompt.length = 0;
    await generation.result;
    assert.deepEqual(session.tokens, [...len33, 5, 6, 7]);
  });
});

describe('a step', () => {
  it('with one wrong request changes no session, then or later', async () => {
    const model = await open();
    using good = model.createSession();
    using bad = model.createSession();
    for (const logits of [-1, 1.5, Number.NaN, 'first' as 'last'])
      await assert.rejects(
        model.step([
          { session: good, tokens: [1] },
          { session: bad, tokens: [2], logits },
        ]),
        UsageError,
      );
    await bad.prefill([3]);
    assert.deepEqual(good.tokens, []);
  });

  it('says what it expected of what is no list of requests', async () => {
    const model = await open();
    const step = (requests: unknown) => model.step(requests as Parameters<Model['step']>[0]);
    for (const wrong of [null, undefined, {}, 'abc', 3])
      await assert.rejects(step(wrong), { name: 'UsageError', message: /^step: expected an array/ });
    for (const wrong of [null, undefined, 3])
      await assert.rejects(step([wrong]), {
        name: 'UsageError',
        message: /session 1 of 1: expected \{ session/,
      });
    assert.deepEqual(await model.step([]), []);
  });

  it('fails only for the sessions that find no memory', async () => {
    const model = await open(8);
    using roomy = model.createSession();
    using other = model.createSession();
    await model.step([
      { session: roomy, tokens: len33 },
      { session: other, tokens: [1] },
    ]);
    using empty = model.createSession();
    const { pages } = coreOf(model).runtime.stateMemory.arenas[0]!;
    const allocate = pages.allocate;
    pages.allocate = () => {
      throw new ModelError('no memory', { code: 'out-of-memory' });
    };
    const tokens = len200.slice(0, 20); // several passes of 8 rows
    try {
      const [, failed, third] = await Promise.allSettled(
        [roomy, empty, other].map((session) => session.prefill(tokens)),
      );
      assert.match(String((failed as PromiseRejectedResult).reason), /no memory/);
      assert.equal(third!.status, 'fulfilled');
    } finally {
      pages.allocate = allocate;
    }
    assert.deepEqual(roomy.tokens, [...len33, ...tokens]);
    assert.deepEqual(empty.tokens, []);
    using alone = model.createSession();
    const expected = await alone.prefill([...len33, ...tokens, 4]);
    const difference = largestDifference(expected, await roomy.prefill([4]));
    assert.ok(difference <= TOLERANCE, `logits differ by ${difference}`);
    await empty.prefill(tokens);
  });

  it('gives no row for a pending token, however many are asked for', async () => {
    const model = await open();
    using session = model.createSession();
    await session.complete(len33, { ...greedy, maxTokens: 2 });
    const [step] = await model.step([{ session, tokens: [7], logits: 5 }]);
    assert.equal(step!.logits!.length, model.vocabularySize);
  });
});

describe('a step that comes while another ends', () => {
  it('is taken, at whichever moment', { timeout: 60_000 }, async () => {
    const model = await sharedModel(modelFolder('jamba-corners'), {
      backend: 'reference',
      prefixCacheBytes: 0,
    });
    using first = model.createSession();
    using second = model.createSession();
    for (let moment = 0; moment < 40; moment++) {
      const reading = first.prefill([1]);
      for (let i = 0; i < moment; i++) await null;
      await within(10_000, second.prefill([2]), `moment ${moment}`);
      await reading;
    }
  });
});

describe('an abort', () => {
  it('does not wait for what other sessions read', async () => {
    const model = await open(8);
    using short = model.createSession();
    using long = model.createSession();
    const abort = new AbortController();
    const order: string[] = [];
    const others = long.prefill([...len200, ...len200]).then(() => order.push('read'));
    const aborted = short.prefill(len200, { signal: abort.signal }).catch(() => order.push('aborted'));
    abort.abort();
    await Promise.all([others, aborted]);
    assert.deepEqual(order, ['aborted', 'read']);
  });

  it('that came before leaves a session where it was', async () => {
    const model = await open();
    using session = model.createSession();
    await session.prefill(len33);
    const signal = AbortSignal.abort(new Error('enough'));
    await assert.rejects(session.rewind(20, { signal }), /enough/);
    await assert.rejects(session.prefill([1], { signal }), /enough/);
    assert.deepEqual(session.tokens, len33);
  });
});

describe('a pass that fails half-way', () => {
  it('leaves a session that continues, and saves, as its tokens say', async () => {
    const model = await loadModel(modelFolder('jamba-corners'), {
      backend: 'reference',
      prefixCacheBytes: 0,
    });
    const session = model.createSession();
    await session.prefill(len33);
    using _ = session.checkpoint();
    await session.prefill([1, 2]);
    const { backend } = coreOf(model).runtime;
    const run = backend.run.bind(backend);
    backend.run = async (...parts) => {
      await run(...parts);
      throw new Error('broken');
    };
    await assert.rejects(session.prefill([3, 4, 5]), /broken/);
    assert.deepEqual(session.tokens, [...len33, 1, 2], 'a prompt is begun with a checkpoint');
    session.checkpoints.at(-1)!.close();
    await assert.rejects(model.step([{ session, tokens: [3] }]), /broken/);
    await assert.rejects(model.step([{ session: model.createSession(), tokens: [1] }]), /broken/);
    backend.run = run;
    assert.deepEqual(session.tokens, len33);
    const expected = await model.createSession().prefill([...len33, 6]);
    const restored = await model.restoreSession(session.save()).prefill([6]);
    for (const logits of [restored, await session.prefill([6])]) {
      const difference = largestDifference(expected, logits);
      assert.ok(difference <= TOLERANCE, `logits differ by ${difference}`);
    }
    await model.close();
  });
});

describe('wrong tokens', () => {
  it('do not empty the session', async () => {
    const model = await open();
    using session = model.createSession();
    await session.prefill(len33);
    for (const wrong of [undefined, {}, 'abc'])
      await assert.rejects(session.setTokens(wrong as unknown as number[]), UsageError);
    assert.deepEqual(session.tokens, len33);
  });
});

describe('a reuse report', () => {
  it('counts a pending token as computed', async () => {
    const model = await open();
    using session = model.createSession();
    await session.complete(len33, { ...greedy, maxTokens: 2 });
    const { usage, reuse } = await session.complete([5], { ...greedy, maxTokens: 1 });
    assert.equal(reuse.reusedTokens + reuse.computedTokens, usage.promptTokens);
  });
});

/** A saved session with another header, and a checksum that is right. */
function withHeader(saved: Uint8Array, change: (json: string) => string): Uint8Array {
  const length = new DataView(saved.buffer, saved.byteOffset).getUint32(12, true);
  const json = new TextDecoder().decode(saved.subarray(16, 16 + length));
  const changed = new TextEncoder().encode(change(json));
  const body = [saved.subarray(0, 12), new Uint8Array(4), changed, saved.subarray(16 + length, -4)];
  const bytes = Uint8Array.from(body.flatMap((part) => [...part]));
  const view = new DataView(bytes.buffer);
  view.setUint32(12, changed.length, true);
  const all = new Uint8Array(bytes.length + 4);
  all.set(bytes);
  new DataView(all.buffer).setUint32(bytes.length, crc32(bytes), true);
  return all;
}

describe('saved sessions', () => {
  const withData = (model: Model, data: unknown) => {
    using session = model.createSession();
    return session.save({ data: data as JsonValue });
  };

  it('take any data that JSON can hold, and refuse what it cannot', async () => {
    const model = await open();
    for (const data of [Number.NaN, null, { a: Number.NaN }, [undefined], 'text', 0, false]) {
      const restored = model.restoreSession(withData(model, data));
      assert.deepEqual(restored.data, JSON.parse(JSON.stringify(data)));
    }
    const circle: { self?: unknown } = {};
    circle.self = circle;
    for (const data of [circle, 1n, () => 1, 'x'.repeat(2 ** 26)])
      assert.throws(() => withData(model, data), { name: 'UsageError', message: /data/ });
  });

  it('with a deep or huge header are refused, or restored, in words', async () => {
    const model = await open();
    const saved = withData(model, 1);
    const deep = '['.repeat(200_000) + ']'.repeat(200_000);
    const restored = model.restoreSession(
      withHeader(saved, (json) => json.replace('"data":1', `"data":${deep}`)),
    );
    assert.ok(Array.isArray(restored.data));
    const strange = (value: string) => () =>
      model.restoreSession(withHeader(saved, (json) => json.replace('"data":1', `"date":${value}`)));
    assert.throws(strange(deep), StateError);
    for (const field of ['fingerprint', 'cacheType', 'position', 'recurrentBytes'])
      assert.throws(
        () =>
          model.restoreSession(
            withHeader(saved, (json) => json.replace(`"${field}":`, `"${field}":${deep},"x":`)),
          ),
        StateError,
        field,
      );
    assert.throws(strange(`"${'x'.repeat(100_000)}"`), (error) => {
      assert.ok(error instanceof StateError && error.message.length < 2000);
      return true;
    });
  });

  it('with a pending token beyond the context are refused', async () => {
    const model = await sharedModel(modelFolder('jamba-corners'), { threads: 1, contextLength: 64 });
    using session = model.createSession();
    await session.prefill(len200.slice(0, 64));
    const pending = withHeader(session.save(), (json) =>
      json.replace('"recurrent', '"pending":1,"recurrent'),
    );
    assert.throws(() => model.restoreSession(pending), { name: 'StateError', message: /context length/ });
  });
});

describe('a stream', () => {
  it('is told of an abort that came before', async () => {
    const model = await open();
    using session = model.createSession();
    const signal = AbortSignal.abort(new Error('enough'));
    const told: unknown[] = [];
    const into = new WritableStream<Uint8Array>({ abort: (reason) => void told.push(reason) });
    await assert.rejects(session.saveTo(into, { signal }), /enough/);
    const from = new ReadableStream<Uint8Array>({ cancel: (reason) => void told.push(reason) });
    await assert.rejects(model.restoreSessionFrom(from, { signal }), /enough/);
    assert.deepEqual(told, [signal.reason, signal.reason]);
  });
});

describe('a model', () => {
  it('that closes between two tokens ends the generation, which settles', async () => {
    for (const speculate of [true, false]) {
      const model = await loadModel(modelFolder('jamba-corners'), { threads: 1 });
      const session = model.createSession();
      const generation = session.generate([...len33, ...len33], { ...greedy, maxTokens: 50, speculate });
      for await (const _ of generation) {
        if (generation.tokens.length === 6) await model.close();
        if (generation.tokens.length >= 6) break;
      }
      const ended = await within(
        10_000,
        generation.result.catch((error) => error.code),
        'its result',
      );
      assert.ok(ended === 'closed' || ended.finishReason === 'cancel');
      session.close();
      const other = await loadModel(modelFolder('jamba-corners'), { threads: 1 });
      const busy = other.createSession();
      const results = [busy.complete(len200, greedy), other.createSession().complete(len33, greedy)];
      const closing = other.close();
      for (const result of results)
        await within(
          10_000,
          assert.rejects(result, (error) => error instanceof UsageError && error.code === 'closed'),
          'a generation of a closed model',
        );
      await closing;
      busy.close();
    }
  });

  it('is closed for everybody who waits for it', async () => {
    const model = await loadModel(modelFolder('jamba-corners'), { threads: 1 });
    const { backend } = coreOf(model).runtime;
    const close = backend.close.bind(backend);
    let ended = false;
    backend.close = async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await close();
      ended = true;
    };
    const first = model.close();
    await model.close();
    assert.ok(ended);
    await first;
  });
});
