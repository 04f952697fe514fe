// Ops of attention: rotary positions, keys and values into the cache, and the attention over it.
import { CACHE_TYPE_ID, cacheTypeOf, PAGE_TOKENS, planeBytes } from '../cache-layout.ts';
import { matrix, type PlanBuilder } from '../plan.ts';
import type { CachePlace, PlacedWeight, Value } from '../recorded.ts';
import { address, defineOp, float, integer, matrixFields } from './op.ts';
import { attentionScratchBytes } from './scratch.ts';

/** In place, halves rotated (x[i], x[i + rotary/2]) by position * inverseFrequencies[i]. */
export const ropeOp = defineOp(
  'rope',
  {
    rows: address,
    positions: address,
    ...matrixFields('x'),
    heads: integer,
    headSize: integer,
    rotary: integer,
    inverseFrequencies: address,
    attentionScale: float,
  },
  {
    cost: (op) => ({ macsPerRow: 2 * op.heads * op.headSize, bytesPerRow: op.heads * op.headSize * 8 }),
  },
);

export interface Rotation {
  readonly heads: number;
  readonly headSize: number;
  /** Columns of each head that turn, from the first on. */
  readonly rotary: number;
  /** Address of [rotary / 2] f32. */
  readonly inverseFrequencies: number;
  readonly attentionScale: number;
}

export function rope(p: PlanBuilder, x: Value, rotation: Rotation): Value {
  p.record(
    ropeOp,
    { set: x.set, reads: [x], writes: [x] },
    { positions: { step: 'positions' }, ...matrix('x', x), ...rotation },
  );
  return x;
}

/** Bytes of keys and values that one position of a layer occupies. */
const positionBytes = (op: { cacheType: number; kvHeads: number; headSize: number }): number =>
  (2 * planeBytes(cacheTypeOf(op.cacheType), op.kvHeads, op.headSize)) / PAGE_TOKENS;

/** Writes k and v of the step's rows into the cache pages of their sessions. Layout: see cache-layout.ts. */
export const cacheStoreOp = defineOp(
  'cacheStore',
  {
    rows: address,
    segments: address,
    rowSegment: address,
    positions: address,
    ...matrixFields('k'),
    ...matrixFields('v'),
    kvHeads: integer,
    headSize: integer,
    group: integer,
    layerOffset: address,
    cacheType: integer,
  },
  { cost: (op) => ({ bytesPerRow: op.kvHeads * op.headSize * 8 + positionBytes(op) }) },
);

/**
 * Softmax attention of each row over its session's cache, positions 0…own (or the last `window` of them).
 * `sinks` (0: none), [heads]: scores of a position without a value, which takes its share of the softmax.
 */
export const attentionOp = defineOp(
  'attention',
  {
    rows: address,
    segments: address,
    rowSegment: address,
    positions: address,
    ...matrixFields('q'),
    ...matrixFields('y'),
    heads: integer,
    kvHeads: integer,
    headSize: integer,
    scale: float,
    window: integer,
    sinks: address,
    group: integer,
    layerOffset: address,
    cacheType: integer,
    scratch: address,
    scratchBytes: address,
  },
  {
    cost: (op) => ({
      bytesPerRow: op.heads * op.headSize * 8,
      cacheBytesPerPosition: positionBytes(op),
      macsPerPosition: 2 * op.heads * op.headSize,
      byteProductsPerMac: op.cacheType === CACHE_TYPE_ID.q8 ? 2 : 0,
      window: op.window,
    }),
    scratchBytes: (op, threads) => attentionScratchBytes(op, threads),
  },
);

export interface AttentionOptions {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  /** Positions that a row sees, itself included; null: all. */
  readonly window: number | null;
  /** Multiplies the scores. */
  readonly scale: number;
  /** Scores of a position without a value, [heads]; null: none. */
  readonly sinks: PlacedWeight | null;
  readonly cache: CachePlace;
}

/** Appends k and v to the cache, then attends. */
export function attend(p: PlanBuilder, q: Value, k: Value, v: Value, options: AttentionOptions): Value {
  const { heads, kvHeads, headSize, cache } = options;
  const y = p.value(q.columns);
  const shared = {
    segments: { step: 'segments' },
    rowSegment: { step: 'rowSegment' },
    positions: { step: 'positions' },
    group: cache.group,
    layerOffset: cache.layerOffset,
    cacheType: CACHE_TYPE_ID[cache.type],
    kvHeads,
    headSize,
  } as const;
  p.record(
    cacheStoreOp,
    { set: q.set, reads: [k, v], writes: [] },
    { ...shared, ...matrix('k', k), ...matrix('v', v) },
  );
  p.record(
    attentionOp,
    { set: q.set, reads: [q], writes: [y] },
    {
      ...shared,
      ...matrix('q', q),
      ...matrix('y', y),
      heads,
      scale: options.scale,
      sinks: options.sinks?.address ?? 0,
      window: options.window ?? 0,
      scratchBytes: 0, // filled in when the plan is placed
    },
  );
  return y;
}
