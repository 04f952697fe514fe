import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadModel } from '../load-model.ts';
import { costOfPlan, decodePasses, promptPasses } from './cost.ts';
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

test('a decoding step streams every weight that its tokens use, and the cache up to its position', async () => {
  await using model = await loadModel(join(golden, 'jamba-period4'), {
    backend: 'reference',
    cacheType: 'f16',
  });
  const { plan } = model.runtime;
  const at = (position: number, sessions = 1) => costOfPlan(plan, decodePasses(1, sessions, position));
  const attentionLayers = model.spec.layers.flatMap(({ mixer }) =>
    mixer.kind === 'attention' ? [mixer] : [],
  );
  const cacheBytes = attentionLayers.reduce((sum, a) => sum + a.kvHeads * a.headSize * 2 * 2, 0);
  assert.equal(at(100).streamedBytes - at(0).streamedBytes, 100 * cacheBytes);
  assert.equal(
    at(0, 3).streamedBytes - at(0).streamedBytes,
    2 * cacheBytes,
    'weights are read once for all sessions',
  );
  assert.equal(at(0, 3).macs, 3 * at(0).macs);
  assert.ok(at(0).streamedBytes <= model.weights.byteLength + cacheBytes);
});

test('a prompt in one pass costs the products of its tokens, each over the positions before it', async () => {
  await using model = await loadModel(join(golden, 'llama-tiny'), { backend: 'reference' });
  const { plan } = model.runtime;
  const whole = costOfPlan(plan, promptPasses(10, 0, 256));
  const tokenwise = costOfPlan(plan, decodePasses(10, 1, 0));
  const headMacs = model.vocabularySize * model.spec.hiddenSize;
  assert.equal(tokenwise.macs - whole.macs, 9 * headMacs);
});

test('a profile accounts for all of the time', async () => {
  await using model = await loadModel(join(golden, 'jamba-moe'), { threads: 2 });
  const { backend, plan } = model.runtime;
  backend.profile(true);
  await model.createSession().prefill([1, 2, 3]);
  const times = backend.profile(false)!;
  const lines = profileOf(plan, times, promptPasses(3, 0, backend.maxRows));
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
