import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { allOfKind } from '../architecture/spec.ts';
import { loadModel } from '../load-model.ts';
import { coreOf } from '../model/model.ts';
import { costOfPlan, decodePasses, leastSeconds, promptPasses } from './cost.ts';
import { profileOf } from './profile.ts';
import { spreadOf } from './statistics.ts';

const golden = join(import.meta.dirname, '../../../../fixtures/golden');

test('passes of a prompt cover it once, and only the last gives logits', () => {
  const passes = promptPasses(600, 100, 256);
  assert.deepEqual(
    passes.map(({ segments, logitRows }) => [segments[0]!.rows, segments[0]!.position, logitRows]),
    [
      [256, 100, 0],
      [256, 356, 0],
      [88, 612, 1],
    ],
  );
});

test('a decoding step streams every weight that its tokens use, the cache up to its position, and each state', async () => {
  await using model = await loadModel(join(golden, 'jamba-period4'), {
    backend: 'reference',
    cacheType: 'f16',
  });
  const { plan } = coreOf(model).runtime;
  const at = (position: number, sessions = 1) => costOfPlan(plan, decodePasses(1, sessions, position));
  const attentionLayers = allOfKind(model.spec.layers, 'attention');
  const stateBytes = coreOf(model).runtime.plan.ops.reduce((sum, { cost }) => sum + cost.stateBytes, 0);
  const cacheBytes = attentionLayers.reduce((sum, a) => sum + a.kvHeads * a.headSize * 2 * 2, 0);
  assert.equal(at(100).streamedBytes - at(0).streamedBytes, 100 * cacheBytes);
  assert.equal(
    at(0, 3).streamedBytes - at(0).streamedBytes,
    2 * (cacheBytes + stateBytes),
    'weights are read once for all sessions',
  );
  const states = allOfKind(model.spec.layers, 'mamba').map(
    (mixer) => mixer.innerSize * (mixer.stateSize + mixer.convWidth - 1),
  );
  assert.equal(
    stateBytes,
    states.reduce((sum, floats) => sum + floats * 4, 0),
  );
  assert.equal(at(0, 3).macs, 3 * at(0).macs);
  assert.ok(at(0).streamedBytes <= model.memory.weightBytes + cacheBytes + stateBytes);
});

test('a prompt in one pass costs the products of its tokens, each over the positions before it', async () => {
  await using model = await loadModel(join(golden, 'llama-tiny'), { backend: 'reference' });
  const { plan } = coreOf(model).runtime;
  const whole = costOfPlan(plan, promptPasses(10, 0, 256));
  const tokenwise = costOfPlan(plan, decodePasses(10, 1, 0));
  const headMacs = model.vocabularySize * model.spec.hiddenSize;
  assert.equal(tokenwise.macs - whole.macs, 9 * headMacs);
});

test('the least time is that of reads or of products, whichever takes longer', () => {
  const cost = {
    bytes: 9e9,
    streamedBytes: 3e9,
    macs: 3e9,
    byteProducts: 4e9,
    floatProducts: 1e9,
    exponentials: 0,
  };
  assert.equal(leastSeconds(cost, { readBytes: 1e9, byteProducts: 4e9, floatProducts: 1e9 }), 3);
  assert.equal(leastSeconds(cost, { readBytes: 3e9, byteProducts: 4e9, floatProducts: 1e9 }), 2);
});

test('attention over 8-bit pages takes two products of bytes, over f16 pages one of f32', async () => {
  const products = async (cacheType: 'q8' | 'f16') => {
    await using model = await loadModel(join(golden, 'jamba-period4'), { backend: 'reference', cacheType });
    const { plan } = coreOf(model).runtime;
    const [near, far] = [0, 100].map((position) => costOfPlan(plan, decodePasses(1, 1, position)));
    return {
      macs: far!.macs - near!.macs,
      bytes: far!.byteProducts - near!.byteProducts,
      floats: far!.floatProducts - near!.floatProducts,
    };
  };
  const q8 = await products('q8');
  assert.ok(q8.macs > 0);
  assert.deepEqual(q8, { macs: q8.macs, bytes: 2 * q8.macs, floats: 0 });
  assert.deepEqual(await products('f16'), { macs: q8.macs, bytes: 0, floats: q8.macs });
});

test('a profile accounts for all of the time', async () => {
  await using model = await loadModel(join(golden, 'jamba-moe'), { threads: 2 });
  const { backend, plan } = coreOf(model).runtime;
  backend.profile(true);
  await model.createSession().prefill([1, 2, 3]);
  const times = backend.profile(false)!;
  const limits = { readBytes: 1e9, byteProducts: 2e9, floatProducts: 1e9 };
  const lines = profileOf(plan, times, promptPasses(3, 0, backend.maxRows), limits);
  assert.ok(lines.every(({ leastMs }) => leastMs >= 0));
  const sum = lines.reduce((total, { elapsedMs }) => total + elapsedMs, 0);
  assert.ok(Math.abs(sum - times.reduce((total, ms) => total + ms, 0)) < 1e-9);
  assert.ok(Math.abs(lines.reduce((total, { share }) => total + share, 0) - 1) < 1e-9);
  assert.equal(
    lines.reduce((total, { ops }) => total + ops, 0),
    plan.ops.length,
  );
  assert.ok(lines.some(({ layer, kind }) => layer === 'experts' && kind === 'expertLinear'));
});

test('the median lies between the extremes', () => {
  assert.deepEqual(spreadOf([3, 1, 2]), { min: 1, median: 2, max: 3 });
  assert.deepEqual(spreadOf([4, 1]), { min: 1, median: 2.5, max: 4 });
  assert.deepEqual(spreadOf([7]), { min: 7, median: 7, max: 7 });
});
