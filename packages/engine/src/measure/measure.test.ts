import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ARENA_BASE, compileKernels, instantiateKernels } from '../backends/wasm/load-kernels.ts';
import { loadModel } from '../load-model.ts';
import { Arena } from '../memory/arena.ts';
import { CACHE_TYPE_ID, type CacheType } from '../plan/cache-layout.ts';
import { fillSession } from './fill-session.ts';
import { measurePeaks, measureReadLimit } from './machine-limits.ts';

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

test('the read limit reports one figure for each pass', async () => {
  const limit = await measureReadLimit({ threads: 2, byteLength: 2 ** 20, passes: 3 });
  assert.equal(limit.byteLength, 2 ** 20);
  assert.equal(limit.bytesPerSecond.length, 3);
  assert.ok(limit.bytesPerSecond.every((rate) => rate > 0 && Number.isFinite(rate)));
});

for (const variant of ['relaxed', 'baseline'] as const)
  test(`peaks of both kinds of products are measured (${variant})`, async () => {
    const { bytes, floats } = await measurePeaks({ threads: 2, variant });
    for (const peak of [bytes, floats]) assert.ok(peak > 0 && Number.isFinite(peak));
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
    // Ten chains begin at 1; what they are multiplied by is 1 in every other round, and rounds of half the width are twice as many.
    const ones = wide ? Math.ceil(rounds / 2) : rounds;
    assert.equal(f32[address / 4], 10 * (1 + ones));
  }
});
