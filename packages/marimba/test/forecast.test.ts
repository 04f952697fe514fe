// What forecasts count.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelSpec } from '@marimba/engine';
import { costOfStep, planOf } from '../src/describe/forecast.ts';

const spec: ModelSpec = {
  family: 'test',
  name: 'test',
  vocabularySize: 40,
  hiddenSize: 16,
  normEpsilon: 1e-5,
  tiedHead: true,
  embeddingScale: 1,
  contextLength: 512,
  beginToken: null,
  endTokens: [],
  layers: [{ mixers: [{ kind: 'ema', innerSize: 8 }], feedForward: null }],
};

test('a step reads and writes the recurrent state once, however many rows it has', () => {
  const placed = { address: 0, layout: { type: 'F32', packed: false }, rows: 16, columns: 16, byteLength: 0 };
  const weights = ['emaIn', 'emaOut'].map((role) => ({ layer: 0, role, placed }));
  const plan = planOf(spec, weights as unknown as Parameters<typeof planOf>[1], 'f16');
  const withoutState = {
    ...plan,
    ops: plan.ops.map((op) => ({ ...op, cost: { ...op.cost, stateBytes: 0 } })),
  };
  const stateBytes = (rows: number) =>
    costOfStep(plan, 0, rows).bytes - costOfStep(withoutState, 0, rows).bytes;
  const state = 8 * 4; // 8 channels, f32
  assert.deepEqual([stateBytes(1), stateBytes(256)], [2 * state, 2 * state]);
});
