// Routed feed-forwards (Jamba: Lieber et al. 2024; sparse mixtures after Shazeer et al. 2017): linear maps over the rows
// that chose each expert. Slots are (row, choice) pairs sorted by expert; plan/ops/experts.ts has the arrays.
import { liveRows, nextChunk } from '../common/common';
import { ExpertLinear } from '../op-records';
import { PACKED_BASE } from './layouts.gen';
import { outputsPerChunk, startRows } from './linear';
import { packedExpertLinear } from './packed-linear';
import { beginProduct } from './product';
import { multiplyRaw } from './raw-product';

/** One chunk is a run of outputs of one expert, for all of its slots. */
export function expertLinear(op: ExpertLinear, thread: i32, threads: i32): void {
  if (op.layout >= PACKED_BASE) {
    packedExpertLinear(op, thread, threads);
    return;
  }
  if (liveRows(op) == 0) return;
  const product = beginProduct(op, thread);
  product.rowIndex = op.slotRows;
  const outputs = op.outputs,
    offsets = op.offsets;
  const run = outputsPerChunk(outputs, threads);
  const perExpert = (outputs + run - 1) / run;
  const chunks = perExpert * op.experts;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const expert = chunk / perExpert;
    const firstSlot = load<i32>(offsets + ((<usize>expert) << 2));
    const endSlot = load<i32>(offsets + ((<usize>expert) << 2), 4);
    if (firstSlot == endSlot) continue;
    const first = (chunk - expert * perExpert) * run;
    const end = min(outputs, first + run);
    product.weight = op.weight + <usize>expert * op.expertBytes;
    startRows(product, firstSlot, endSlot, first, end);
    multiplyRaw(product, firstSlot, endSlot, first, end);
  }
}
