// Routed feed-forwards (Jamba: Lieber et al. 2024; sparse mixtures after Shazeer et al. 2017): linear maps over the rows
// that chose each expert. Slots are (row, choice) pairs sorted by expert; plan/ops/experts.ts has the arrays.
import { address, liveRows, nextChunk } from '../common/common';
import {
  EXPERT_LINEAR_COLUMNS,
  EXPERT_LINEAR_EXPERT_BYTES,
  EXPERT_LINEAR_EXPERTS,
  EXPERT_LINEAR_LAYOUT,
  EXPERT_LINEAR_OFFSETS,
  EXPERT_LINEAR_OUTPUTS,
  EXPERT_LINEAR_SCRATCH,
  EXPERT_LINEAR_SLOT_ROWS,
  EXPERT_LINEAR_WEIGHT,
  EXPERT_LINEAR_X,
  EXPERT_LINEAR_X_STRIDE,
  EXPERT_LINEAR_Y,
  EXPERT_LINEAR_Y_STRIDE,
} from '../op-layout';
import { PACKED_BASE } from './layouts.gen';
import { outputsPerChunk, startRows } from './linear';
import { packedExpertLinear } from './packed';
import { multiplyRaw, rawScratchBytes } from './raw-product';

/** One chunk is a run of outputs of one expert, for all of its slots. */
export function expertLinear(op: usize, thread: i32, threads: i32): void {
  const layout = load<i32>(op, EXPERT_LINEAR_LAYOUT);
  if (layout >= PACKED_BASE) {
    packedExpertLinear(op, thread, threads);
    return;
  }
  if (liveRows(op) == 0) return;
  const outputs = load<i32>(op, EXPERT_LINEAR_OUTPUTS);
  const columns = load<i32>(op, EXPERT_LINEAR_COLUMNS);
  const offsets = address(op, EXPERT_LINEAR_OFFSETS);
  const y = address(op, EXPERT_LINEAR_Y);
  const yStride = (<usize>load<u32>(op, EXPERT_LINEAR_Y_STRIDE)) << 2;
  const scratch = address(op, EXPERT_LINEAR_SCRATCH) + <usize>thread * rawScratchBytes(columns);
  const run = outputsPerChunk(outputs, threads);
  const perExpert = (outputs + run - 1) / run;
  const chunks = perExpert * load<i32>(op, EXPERT_LINEAR_EXPERTS);
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const expert = chunk / perExpert;
    const firstSlot = load<i32>(offsets + ((<usize>expert) << 2));
    const endSlot = load<i32>(offsets + ((<usize>expert) << 2), 4);
    if (firstSlot == endSlot) continue;
    const first = (chunk - expert * perExpert) * run;
    const end = min(outputs, first + run);
    startRows(y, yStride, firstSlot, endSlot, first, end, 0, false);
    multiplyRaw(
      layout,
      address(op, EXPERT_LINEAR_WEIGHT) + <usize>expert * <usize>load<u32>(op, EXPERT_LINEAR_EXPERT_BYTES),
      columns,
      first,
      end,
      address(op, EXPERT_LINEAR_X),
      (<usize>load<u32>(op, EXPERT_LINEAR_X_STRIDE)) << 2,
      address(op, EXPERT_LINEAR_SLOT_ROWS),
      y,
      yStride,
      firstSlot,
      endSlot,
      scratch,
    );
  }
}
