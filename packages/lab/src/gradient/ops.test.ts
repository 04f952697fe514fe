// Rules of ops that take one value twice, which no layer's model shows alone: against central differences.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { encodeOps, matrix, opOf, PlanBuilder, placeBuffers, stepLayout } from '@marimba/engine/plan';
import { appendBackward } from './rules.ts';
import { type GradientContext, Tape } from './tape.ts';
import { DoubleBackend } from './testing.ts';

type Value = ReturnType<PlanBuilder['value']>;

const COLUMNS = 6;
/** Their numbers in op records. */
const ACTIVATIONS = { silu: 0, gelu_tanh: 1, gelu: 2, none: 3, sigmoid: 4, relu: 5 };

/** Runs what `record` makes of a row x, and the backward of the sum of its result times `weights`. */
async function run(
  record: (p: PlanBuilder, x: Value) => Value,
  x: readonly number[],
  weights: readonly number[],
) {
  const p = new PlanBuilder({ codesByteLength: () => 0 }, { keepValues: true });
  const input = p.value(COLUMNS);
  const y = record(p, input);
  const forward = p.finish(y);
  const tape = new Tape({} as GradientContext, forward.ops, forward.buffers);
  tape.seed({ buffer: y.buffer, byteOffset: 0 }, COLUMNS);
  appendBackward(tape, forward.ops);
  const plan = { ...forward, ops: tape.ops, buffers: tape.buffers, headStart: tape.ops.length };
  const gradient = tape.gradient({ buffer: input.buffer, byteOffset: 0 }, COLUMNS);
  assert.ok(typeof gradient === 'object' && gradient && 'buffer' in gradient);
  const backend = new DoubleBackend();
  const { arena } = backend;
  const placement = placeBuffers(plan, () => 1);
  const layout = stepLayout(1, 1, 1);
  const step = arena.allocate(layout.byteLength, 'step data');
  const activations = arena.allocate(placement.byteLength, 'activations');
  const where = { step, stepLayout: layout, activations, placement, scratch: 0, scratchBytes: 0 };
  const { words, starts } = encodeOps(plan.ops, where);
  const program = arena.allocate(words.byteLength, 'program');
  arena.views.u32.set(words, program >>> 2);
  arena.views.u32[(step + layout.rows) >>> 2] = 1;
  await backend.install({ records: starts.map((start) => program + start * 4), headStart: starts.length });
  const floats = (buffer: number) => {
    const at = (activations + placement.offsets[buffer]!) / 4;
    return arena.views.f32.subarray(at, at + COLUMNS);
  };
  floats(input.buffer).set(x);
  await backend.run(0, forward.ops.length);
  const loss = floats(y.buffer).reduce((sum, value, i) => sum + value * weights[i]!, 0);
  floats(y.buffer).set(weights);
  await backend.run(forward.ops.length, plan.ops.length);
  return { loss, gradient: [...floats(gradient.buffer)] };
}

for (const [name, activation] of Object.entries(ACTIVATIONS))
  it(`one value as gate and up, ${name}: its gradient is the sum of both`, async () => {
    const x = [1.5, -0.75, 0.25, -2, 3, 0.5];
    const weights = [1, -2, 3, 0.5, -0.25, 2];
    const record = (p: PlanBuilder, value: Value) => {
      const y = p.value(COLUMNS);
      const operands = { ...matrix('gate', value), ...matrix('up', value), ...matrix('y', y) };
      p.record(
        opOf('gatedActivation'),
        { set: 'rows', reads: [value], writes: [y] },
        { ...operands, columns: COLUMNS, activation },
      );
      return y;
    };
    const { gradient } = await run(record, x, weights);
    for (let i = 0; i < COLUMNS; i++) {
      const moved = async (by: number) =>
        (
          await run(
            record,
            x.map((value, k) => (k === i ? value + by : value)),
            weights,
          )
        ).loss;
      const expected = ((await moved(1e-5)) - (await moved(-1e-5))) / 2e-5;
      assert.ok(
        Math.abs(gradient[i]! - expected) < 1e-5,
        `x[${i}]: expected ${expected}, found ${gradient[i]}`,
      );
    }
  });
