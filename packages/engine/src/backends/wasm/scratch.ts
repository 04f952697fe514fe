// How much scratch memory the f32 kernels want, in bytes. The planner asks here; the kernels compute the same sizes from
// their records (kernels/raw-product.ts, kernels/attention-item.ts, kernels/scan.ts).

const PIECE = 512;
const PANEL_OUTPUTS = 64;
const QUERIES = 80;
const PAGE_TOKENS = 64;

const roundUp = (value: number, unit: number) => Math.ceil(value / unit) * unit;

/** One thread's share for `linear` and `expertLinear` over raw layouts. Multiply by the number of threads. */
export function rawLinearScratchBytes(columns: number): number {
  return (PANEL_OUTPUTS + 8) * Math.min(PIECE, roundUp(columns, 4)) * 4 + 128;
}

/** One thread's share for `selectiveScan`: what is prepared for 128 channels, a row's b and c, each state four times, and two vectors. */
export function scanScratchBytes(states: number): number {
  return 4 * 128 * 4 + roundUp(states * 32 + 32, 64);
}

export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
}

/**
 * All threads' areas for `attention`, and room for the partial results of `deepRows` rows over a cache split in 32. Less
 * than that means fewer splits; less than the areas is an error.
 */
export function attentionScratchBytes(shape: AttentionShape, threads: number, deepRows = 4): number {
  const { heads, kvHeads, headSize } = shape;
  const group = heads / kvHeads;
  const padded = roundUp(headSize, 16);
  const queries = roundUp(Math.max(1, Math.floor(QUERIES / group)) * group, 4);
  const perQuery = 2 * padded + 5 + 3 * PAGE_TOKENS;
  const page = PAGE_TOKENS * (headSize + padded) + 8 * headSize;
  const floats = queries * perQuery + page + 4 * PAGE_TOKENS + 16;
  return threads * roundUp(floats * 4, 64) + deepRows * heads * 32 * (padded + 4) * 4;
}
