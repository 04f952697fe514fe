// What forecasts count.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelSpec } from '@marimba/engine';
import { arrangedShape, neededWeights, UNSCALED } from '@marimba/engine/architecture';
import { costOfPass, planOf } from '../src/describe/forecast.ts';

const spec: ModelSpec = {
  family: 'test',
  name: 'test',
  vocabularySize: 40,
  hiddenSize: 16,
  normEpsilon: 1e-5,
  tiedHead: true,
  ...UNSCALED,
  contextLength: 512,
  beginToken: null,
  endTokens: [],
  layers: [{ mixers: [{ kind: 'ema', innerSize: 8 }], feedForward: null }],
};

const described = neededWeights(spec).map((weight) => {
  const { rows, columns, count } = arrangedShape(weight);
  const layout = { type: 'F32', packed: false } as const;
  return { ...weight, placed: { address: 0, layout, rows, columns, byteLength: count * 4 } };
});
const planned = (weights: readonly Record<string, unknown>[] = described) =>
  planOf(spec, weights as unknown as Parameters<typeof planOf>[1], 'f16');

test('a step reads and writes the recurrent state once, however many rows it has', () => {
  const plan = planned();
  const withoutState = {
    ...plan,
    ops: plan.ops.map((op) => ({ ...op, cost: { ...op.cost, stateBytes: 0 } })),
  };
  const stateBytes = (rows: number) =>
    costOfPass(plan, 0, rows).bytes - costOfPass(withoutState, 0, rows).bytes;
  const state = 8 * 4; // 8 channels, f32
  assert.deepEqual([stateBytes(1), stateBytes(256)], [2 * state, 2 * state]);
});

test('vectors that the loader makes have their sizes, and weights that are missing are no vectors', () => {
  // Three matrices, the two products with a vector of zeros that the moving average makes, the scan.
  const macs = 2 * 8 * 16 + 16 * 8 + 40 * 16 + 2 * 8 + 3 * 8;
  assert.equal(
    planned().ops.reduce((sum, { cost }) => sum + cost.macsPerRow, 0),
    macs,
  );
  assert.throws(() => planned(described.filter(({ role }) => role !== 'emaOut')), /weight emaOut in layer 0/);
});
