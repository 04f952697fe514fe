// What every kind of layer records: its result alone, or added to other values by the product that makes it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PlanBuilder, type Value } from '../plan/plan.ts';
import { arrangedShape } from './arrange.ts';
import { plainAttention } from './attention.ts';
import { plainExperts } from './experts.ts';
import { type LAYERS, layerOf, type PartSpec } from './index.ts';
import type { Recorder } from './layer.ts';

const HIDDEN = 12;

const PARTS: { readonly [K in keyof typeof LAYERS]: PartSpec } = {
  attention: plainAttention(2, 1, 6),
  mamba: {
    kind: 'mamba',
    innerSize: 26,
    stateSize: 5,
    convWidth: 3,
    dtRank: 3,
    convBias: true,
    projectionBias: false,
    innerNorms: 'weighted',
    innerNormEpsilon: 1e-6,
  },
  mamba2: {
    kind: 'mamba2',
    heads: 6,
    headSize: 5,
    groups: 2,
    stateSize: 7,
    convWidth: 3,
    convBias: true,
    projectionBias: false,
    norm: 'afterGate',
    normGroups: 2,
    stepLimits: [0, Number.POSITIVE_INFINITY],
  },
  deltaNet: {
    kind: 'deltaNet',
    keyHeads: 2,
    valueHeads: 6,
    keySize: 5,
    valueSize: 3,
    tiled: false,
    convWidth: 3,
  },
  ema: { kind: 'ema', innerSize: 26 },
  shortConv: { kind: 'shortConv', size: HIDDEN, width: 3, bias: true },
  dense: { kind: 'dense', size: 20, gated: true, activation: 'silu', bias: true },
  experts: plainExperts(8, 3, 2),
};

function recorded(part: PartSpec, mode: 'alone' | 'added', keepValues = false) {
  const plan = new PlanBuilder({ codesByteLength: () => 0 }, { keepValues });
  const shapes = new Map<string, { rows: number; columns: number }>();
  for (const tensor of layerOf(part).tensors(part, HIDDEN)) shapes.set(tensor.role, arrangedShape(tensor));
  for (const { role, columns } of layerOf(part).derived?.(part) ?? []) shapes.set(role, { rows: 1, columns });
  const find: Recorder['find'] = (role) => {
    const shape = shapes.get(role);
    return shape
      ? { address: 64, layout: { type: 'F32', packed: false }, byteLength: shape.rows * 4, ...shape }
      : null;
  };
  const states: string[] = [];
  const input = plan.value(HIDDEN);
  const hidden = plan.value(HIDDEN);
  const y: Value = layerOf(part).record(
    {
      plan,
      normEpsilon: 1e-5,
      normOffset: 0,
      find,
      weight: (role) => find(role)!,
      state: (name) => states.push(name) * 64,
      cache: () => ({ group: 0, layerOffset: 0, type: 'f32' }),
    },
    part,
    input,
    mode === 'added' ? hidden : null,
  );
  return { ops: plan.finish(y).ops, y, hidden, states };
}

for (const [kind, part] of Object.entries(PARTS)) {
  describe(`what ${kind} records`, () => {
    it('adds to other values in their place, without an op of its own for it', () => {
      const { ops, y, hidden } = recorded(part, 'added');
      assert.equal(y.buffer, hidden.buffer);
      assert.deepEqual(
        ops.filter(({ writes }) => writes.includes(hidden.buffer)),
        ops.slice(-1),
      );
    });

    it('stands alone when there is nothing to add to, for a norm or a factor after it', () => {
      const { ops, y, hidden } = recorded(part, 'alone');
      assert.notEqual(y.buffer, hidden.buffer);
      assert.equal(y.columns, HIDDEN);
      for (const { reads, writes } of ops)
        assert.ok(!reads.includes(hidden.buffer) && !writes.includes(hidden.buffer));
      const last = ops.at(-1)!;
      const kinds = kind === 'experts' ? 'combineExperts' : 'linear';
      assert.deepEqual([last.kind, last.fields.accumulate, last.writes], [kinds, 0, [y.buffer]]);
      assert.equal(ops.length, recorded(part, 'added').ops.length);
      // Kept values need a copy only where something is added to them.
      assert.ok(!recorded(part, 'alone', true).ops.some((op) => op.kind === 'copy'));
    });

    it('uses all of its recurrent state, and its ops cost as many bytes as it takes', () => {
      const { ops, states } = recorded(part, 'added');
      const recurrent: Readonly<Record<string, number>> = layerOf(part).state?.(part).recurrent ?? {};
      assert.deepEqual(states.sort(), Object.keys(recurrent).sort());
      const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
      assert.equal(sum(ops.map(({ cost }) => cost.stateBytes)), sum(Object.values(recurrent)));
    });
  });
}

it('experts add to what the shared expert leaves: the sum that is given, or its result alone', () => {
  const part: PartSpec = { ...plainExperts(8, 3, 2), shared: { size: 10, gate: true } };
  const added = recorded(part, 'added');
  assert.deepEqual(
    added.ops
      .filter(({ writes }) => writes.includes(added.hidden.buffer))
      .map(({ kind, fields }) => [kind, fields.accumulate]),
    [
      ['linear', 1],
      ['combineExperts', 1],
    ],
  );
  const alone = recorded(part, 'alone');
  assert.deepEqual(
    alone.ops
      .filter(({ writes }) => writes.includes(alone.y.buffer))
      .map(({ kind, fields }) => [kind, fields.accumulate]),
    [
      ['linear', 0],
      ['combineExperts', 1],
    ],
  );
});
