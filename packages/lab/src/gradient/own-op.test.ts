// An op that the engine does not know: defined, recorded, run by the reference backend and differentiated.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  address,
  defineOp,
  encodeOps,
  float,
  integer,
  matrix,
  matrixFields,
  type Operand,
  PlanBuilder,
  placeBuffers,
  registerOp,
  registerReferenceKernel,
  stepLayout,
} from '@marimba/engine/plan';
import { numberOf } from './rule.ts';
import { appendBackward, registerRule } from './rules.ts';
import { type GradientContext, Tape } from './tape.ts';
import { DoubleBackend } from './testing.ts';

/** y[r] = factor * x[r] + factor * y[r - 1]: a running sum that fades. */
const fade = defineOp(
  'fade',
  {
    rows: address,
    ...matrixFields('x'),
    ...matrixFields('y'),
    columns: integer,
    factor: float,
    reverse: integer,
  },
  { cost: (op) => ({ macsPerRow: op.columns, bytesPerRow: op.columns * 8 }) },
);
registerOp(fade);
registerReferenceKernel('fade', (m, op) => {
  const rows = m.u32[op.rows! >>> 2]!;
  for (let i = 0; i < rows; i++) {
    const row = op.reverse ? rows - 1 - i : i;
    const before = op.reverse ? row + 1 : row - 1;
    for (let c = 0; c < op.columns!; c++) {
      const last = i === 0 ? 0 : m.f32[op.y! / 4 + before * op.yStride! + c]!;
      m.f32[op.y! / 4 + row * op.yStride! + c] =
        op.factor! * (m.f32[op.x! / 4 + row * op.xStride! + c]! + last);
    }
  }
});
registerRule('fade', ({ fields, set }, tape) => {
  const { x, xStride, y, yStride, factor } = fields as Record<string, Operand>;
  const columns = numberOf(fields.columns!);
  const dy = tape.gradient(y!, columns);
  if (!dy) return;
  tape.appendOp(fade, set, {
    x: dy,
    xStride: yStride!,
    y: tape.fresh(x!, columns),
    yStride: xStride!,
    columns,
    factor: factor!,
    reverse: 1,
  });
});

test('an op of one’s own runs and has a gradient', async () => {
  const columns = 2;
  const p = new PlanBuilder({ codesByteLength: () => 0 }, { keepValues: true });
  const x = p.value(columns);
  const y = p.value(columns);
  p.record(
    fade,
    { set: 'rows', reads: [x], writes: [y] },
    { ...matrix('x', x), ...matrix('y', y), columns, factor: 0.5, reverse: 0 },
  );
  const recorded = p.finish(y);
  const tape = new Tape({} as GradientContext, recorded.ops, recorded.buffers);
  tape.seed({ buffer: y.buffer, byteOffset: 0 }, columns);
  appendBackward(tape, recorded.ops);
  assert.deepEqual(
    tape.ops.map(({ kind, cost }) => [kind, cost.macsPerRow]),
    [
      ['fade', 2],
      ['fade', 2],
    ],
  );
  // The gradient's buffer is the third: x, y (whose gradient lies in itself), dx.
  const plan = { ...recorded, ops: tape.ops, buffers: tape.buffers, headStart: tape.ops.length };
  const backend = new DoubleBackend();
  const { arena } = backend;
  const rows = 3;
  const placement = placeBuffers(plan, () => rows);
  const layout = stepLayout(rows, 1, 1);
  const step = arena.allocate(layout.byteLength, 'step data');
  const activations = arena.allocate(placement.byteLength, 'activations');
  const { words, starts } = encodeOps(plan.ops, {
    step,
    stepLayout: layout,
    activations,
    placement,
    scratch: 0,
    scratchBytes: 0,
  });
  const program = arena.allocate(words.byteLength, 'program');
  arena.views.u32.set(words, program >>> 2);
  arena.views.u32[(step + layout.rows) >>> 2] = rows;
  await backend.install({ records: starts.map((start) => program + start * 4), headStart: 2 });
  const at = (buffer: number) => (activations + placement.offsets[buffer]!) / 4;
  const values = (buffer: number) => [...arena.views.f32.subarray(at(buffer), at(buffer) + rows * columns)];
  arena.views.f32.set([8, 0, 0, 8, 0, 0], at(x.buffer));
  await backend.run(0, 1);
  assert.deepEqual(values(y.buffer), [4, 0, 2, 4, 1, 2]);
  // The sum of the last row: each row before counts half as much.
  arena.views.f32.set([0, 0, 0, 0, 1, 1], at(y.buffer));
  await backend.run(1, 2);
  assert.deepEqual(values(2), [0.125, 0.125, 0.25, 0.25, 0.5, 0.5]);
});

test('an op is not recorded without all of its operands', () => {
  const p = new PlanBuilder({ codesByteLength: () => 0 });
  const x = p.value(2);
  const operands = { ...matrix('x', x), columns: 2, factor: 0.5, reverse: 0 };
  const partial = operands as Parameters<typeof p.record<'fade', keyof typeof fade.fields>>[2];
  assert.throws(() => p.record(fade, { set: 'rows', reads: [x], writes: [x] }, partial), /operand for y/);
});

test('an op that carries state must say where, by the name that recomputation looks for', () => {
  const carries = defineOp(
    'carries',
    { rows: address, statePlace: address },
    { cost: () => ({ stateBytes: 4 }) },
  );
  const plan = new PlanBuilder({ codesByteLength: () => 0 });
  const given = { set: 'rows', reads: [], writes: [] } as const;
  assert.throws(() => plan.record(carries, given, { statePlace: 0 }), /op carries: .* stateOffset/);
});
