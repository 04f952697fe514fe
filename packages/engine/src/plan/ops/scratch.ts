// How much scratch memory the WebAssembly kernels want, in bytes. Records say how much each thread has, and the
// constants are written into the kernels (kernels/build/constants.ts): where they write past it, the conformance
// suite's canaries show it.
import { PAGE_TOKENS } from '../cache-layout.ts';

const roundUp = (value: number, unit: number) => Math.ceil(value / unit) * unit;

/** What is said of a product at the start of each thread's scratch (kernels/linear/product.ts). */
export const PRODUCT_BYTES = 64;

/** Columns of a raw weight that are worked on at a time, a multiple of every block length; and outputs. */
export const RAW_PIECE = 512;
export const RAW_PANEL_OUTPUTS = 64;

/** One thread's share for `linear` and `expertLinear` over raw layouts. */
export function rawLinearScratchBytes(columns: number): number {
  return PRODUCT_BYTES + (RAW_PANEL_OUTPUTS + 8) * Math.min(RAW_PIECE, roundUp(columns, 4)) * 4 + 128;
}

/** Channels that selectiveScan prepares at a time. */
export const SCAN_CHANNELS = 128;

/**
 * One thread's share for `selectiveScan`: four prepared values per channel, b and c of a row with each state
 * four times, two vectors; states of a draft.
 */
export function scanScratchBytes(states: number): number {
  return 4 * SCAN_CHANNELS * 4 + roundUp(states * 32 + 32, 64) + SCAN_CHANNELS * states * 4;
}

/** Columns of a head's state that an item of deltaScan takes. */
export const DELTA_COLUMNS = 32;

/**
 * One thread's share for `deltaScan`: the query and key of a row, divided by their lengths, 16 vectors, and the state
 * of an item for drafts.
 */
export function deltaScanScratchBytes(keySize: number): number {
  return roundUp(keySize * 8 + 16 + 16 * 16, 64) + DELTA_COLUMNS * keySize * 4;
}

/** Columns of a state that deltaScanBackward works on at a time, and rows whose states it keeps. */
export const DELTA_BACKWARD_COLUMNS = 8;
export const DELTA_BACKWARD_CHUNK = 64;

/**
 * One thread's share for `deltaScanBackward`; `rows` is the longest segment. Per row q, k and their
 * gradients, and four numbers; of a block of columns the state before each chunk, those of a chunk's rows,
 * the carried gradient, and what each row of the chunk lacked.
 */
export function deltaScanBackwardScratchBytes(rows: number, keySize: number): number {
  const kept = Math.ceil(rows / DELTA_BACKWARD_CHUNK) + DELTA_BACKWARD_CHUNK + 2;
  const block = DELTA_BACKWARD_COLUMNS * (keySize * kept + DELTA_BACKWARD_CHUNK);
  return roundUp((rows * (4 * keySize + 4) + block) * 4, 64);
}

/** Rows of a head's state that ssdScan copies at a time for a draft. */
export const SSD_HELD_ROWS = 32;

/** Bytes that ssdScan keeps sums, decays and products in. */
export const SSD_PLACES = 224;

/** One thread's share for `ssdScan`: places of vectors, and rows of a state for drafts. */
export const ssdScratchBytes = (states: number): number => SSD_PLACES + SSD_HELD_ROWS * states * 4;

/** What is said of an item of attention at the start of each thread's area (kernels/attention/item-record.ts). */
export const ATTENTION_ITEM_BYTES = 128;
/** Queries that an item of attention takes, at most unless one row has more. */
export const ATTENTION_QUERIES = 80;
/** Ranges that a cache is split into at most, where several threads share one row. */
export const ATTENTION_SPLITS = 32;

export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
}

/**
 * All threads' areas for `attention`, and room for the partial results of `deepRows` rows over a cache split
 * in 32. Less than that means fewer splits; less than the areas is an error.
 */
export function attentionScratchBytes(shape: AttentionShape, threads: number, deepRows = 4): number {
  const { heads, kvHeads, headSize } = shape;
  const group = heads / kvHeads;
  const padded = roundUp(headSize, 16);
  const queries = roundUp(Math.max(1, Math.floor(ATTENTION_QUERIES / group)) * group, 4);
  const perQuery = 2 * padded + 5 + 3 * PAGE_TOKENS;
  const page = PAGE_TOKENS * (headSize + padded) + 8 * headSize;
  const floats = queries * perQuery + page + 4 * PAGE_TOKENS + 16;
  return (
    threads * (ATTENTION_ITEM_BYTES + roundUp(floats * 4, 64)) +
    deepRows * heads * ATTENTION_SPLITS * (padded + 4) * 4
  );
}

/**
 * One thread's share for the products of the backward: packed panels of both operands with gaps of a cache
 * line, and one tile.
 */
export const GEMM_SCRATCH_BYTES = (128 * 256 + 128 * 256 + (32 + 16) * 16 + 64) * 4;

/** Rows whose states selectiveScanBackward keeps at a time. */
export const SCAN_BACKWARD_CHUNK = 256;

/**
 * One thread's share for `selectiveScanBackward`; `rows` is the longest segment. Eight channels at a time:
 * per row of a chunk a state and a decay; per chunk the state before it; a state more, running sums, a row's
 * products, and places of 8 lanes.
 */
export function scanBackwardScratchBytes(rows: number, states: number): number {
  return 448 + 96 + states * 32 * (2 * SCAN_BACKWARD_CHUNK + Math.ceil(rows / SCAN_BACKWARD_CHUNK) + 5);
}

/**
 * One thread's share for `ssdScanBackward`; `rows` is the longest segment. Of a head: its state or the
 * state's gradient; sums of eight lanes and a number for each channel; a sum for each state; of each row its
 * step, its decay and a double.
 */
export function ssdBackwardScratchBytes(rows: number, headSize: number, states: number): number {
  const padded = roundUp(states, 8);
  return roundUp(headSize * (padded + 8 + 1) * 4 + padded * 4 + 8 + rows * 16, 64);
}

/** Queries that attentionBackward works on at a time. */
export const ATTENTION_BACKWARD_QUERIES = 32;

/**
 * One thread's share for `attentionBackward`: probabilities and score gradients of a block of queries against
 * a segment of `rows`, and room for products.
 */
export function attentionBackwardScratchBytes(rows: number): number {
  const block = ATTENTION_BACKWARD_QUERIES;
  return GEMM_SCRATCH_BYTES + (2 * block * ((rows + 7) & ~7) + 2 * block) * 4;
}
