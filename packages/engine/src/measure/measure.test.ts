import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ARENA_BASE, compileKernels, instantiateKernels } from '../backends/wasm/load-kernels.ts';
import { loadModel } from '../load-model.ts';
import { Arena } from '../memory/arena.ts';
import { CACHE_TYPE_ID, type CacheType } from '../plan/cache-layout.ts';
import { fillSession } from './fill-session.ts';
import { measurePeaks, measureReadLimit, PEAK_ROUNDS, PEAK_RUNS, ROUND_PRODUCTS } from './machine-limits.ts';

const golden = join(import.meta.dirname, '../../../../fixtures/golden');

for (const cacheType of Object.keys(CACHE_TYPE_ID) as CacheType[]) {
  test(`a filled session stands at its depth and can be read on (${cacheType})`, async () => {
    await using model = await loadModel(join(golden, 'jamba-period4'), { backend: 'reference', cacheType });
    const session = model.createSession();
    await session.prefill([1, 2, 3]);
    fillSession(model, session, 1000);
    assert.equal(session.position, 1003);
    assert.deepEqual(session.tokens.slice(0, 3), [1, 2, 3]);
    const logits = await session.prefill([4]);
    assert.ok(logits.every(Number.isFinite));
    const other = model.createSession();
    fillSession(model, other, 1003, 2);
    const difference = (await other.prefill([4])).reduce(
      (max, x, i) => Math.max(max, Math.abs(x - logits[i]!)),
      0,
    );
    assert.ok(difference > 1e-3, 'a different filling must lead to different logits');
  });
}

test('filling beyond the context is refused', async () => {
  await using model = await loadModel(join(golden, 'jamba-period4'), {
    backend: 'reference',
    contextLength: 100,
  });
  assert.throws(() => fillSession(model, model.createSession(), 101), /expected 0 to 100 positions/);
});

/**
 * Beyond any thread: 64 bytes, or 512 products, in a cycle of 10 GHz. A figure per millisecond would pass it.
 */
const MOST_PER_THREAD = { bytes: 640e9, products: 5e12 };

test('the read limit reports one figure for each pass, of the time that passed', async () => {
  const began = performance.now();
  const limit = await measureReadLimit({ threads: 2, byteLength: 2 ** 20, passes: 3 });
  const elapsed = (performance.now() - began) / 1000;
  assert.equal(limit.byteLength, 2 ** 20);
  assert.equal(limit.bytesPerSecond.length, 3);
  const seconds = limit.bytesPerSecond.reduce((sum, rate) => sum + limit.byteLength / rate, 0);
  assert.ok(seconds <= elapsed, `${limit.bytesPerSecond} bytes per second in ${elapsed} s`);
  for (const rate of limit.bytesPerSecond) assert.ok(rate < 2 * MOST_PER_THREAD.bytes, `${rate}`);
});

for (const variant of ['relaxed', 'baseline'] as const)
  test(`peaks of both kinds of products are those of the time that passed (${variant})`, async () => {
    const began = performance.now();
    const { bytes, floats } = await measurePeaks({ threads: 2, variant });
    const elapsed = (performance.now() - began) / 1000;
    // No run was shorter than the best one.
    const products = (kernel: keyof typeof ROUND_PRODUCTS) => 2 * PEAK_ROUNDS * ROUND_PRODUCTS[kernel];
    const seconds = products('multiplyBytes') / bytes + products('multiplyFloats') / floats;
    assert.ok(PEAK_RUNS * seconds <= elapsed, `${bytes}, ${floats} products per second in ${elapsed} s`);
    for (const peak of [bytes, floats]) assert.ok(peak < 2 * MOST_PER_THREAD.products, `${peak}`);
  });

test('the loops of the peaks add as many products as are counted', async () => {
  const arena = new Arena(ARENA_BASE, true);
  const address = arena.allocate(416, 'factors');
  const kernels = instantiateKernels(await compileKernels('baseline', true), arena.memory);
  const { f32 } = arena.views;
  for (const [wide, rounds] of [
    [1, 1],
    [1, 6],
    [0, 1],
    [0, 5],
  ] as const) {
    kernels.useWideTiles!(wide);
    f32.fill(1, address / 4, address / 4 + 104);
    kernels.multiplyFloats!(address, rounds);
    // Ten chains begin at 1; what they are multiplied by is 1 in every other round, and rounds of half the
    // width are twice as many.
    const ones = wide ? Math.ceil(rounds / 2) : rounds;
    assert.equal(f32[address / 4], 10 * (1 + ones));
  }
});
