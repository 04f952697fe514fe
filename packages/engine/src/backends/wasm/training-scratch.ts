// How much scratch memory the kernels of training want, in bytes for each thread. The recorder of the backward asks here;
// the kernels compute the same sizes from their records (kernels/gemm.ts, backward-scan.ts, backward-attention.ts).

/** Packed panels of both operands with gaps of a cache line, and one tile. */
export const GEMM_SCRATCH_BYTES = (128 * 256 + 128 * 256 + (32 + 16) * 16 + 64) * 4;

/** Rows whose states are kept at a time by selectiveScanBackward. */
const SCAN_CHUNK = 256;
/** Queries that attentionBackward works on at a time. */
const QUERIES = 32;

/**
 * `rows` is the longest segment. Eight channels at a time: for each chunk row a state and a decay; for each chunk the state
 * before it; a state more, running sums, a row's products, and places of 8 lanes.
 */
export function scanBackwardScratchBytes(rows: number, states: number): number {
  return 448 + 96 + states * 32 * (2 * SCAN_CHUNK + Math.ceil(rows / SCAN_CHUNK) + 5);
}

/** Probabilities and score gradients of a block of queries against a segment of `rows`, and room for products. */
export function attentionBackwardScratchBytes(rows: number): number {
  return GEMM_SCRATCH_BYTES + (2 * QUERIES * ((rows + 7) & ~7) + 2 * QUERIES) * 4;
}
