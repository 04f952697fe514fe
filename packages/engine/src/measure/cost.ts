// Costs of passes over a plan, summed from the costs of its ops: bytes to move, products and exponentials to
// compute. Divide by a measured time for GB/s and GMAC/s. For measurements only.
import type { Plan, RecordedOp } from '../plan/plan.ts';

/** One replay: rows per session, and the tokens that each session had consumed before. */
export interface Pass {
  readonly segments: readonly { readonly rows: number; readonly position: number }[];
  /** Rows that went through the head. */
  readonly logitRows: number;
}

export interface Cost {
  /** Weights once per pass, cache once per session, states and activations in and out. */
  readonly bytes: number;
  /** The part of `bytes` that no processor cache keeps between passes: weights, attention cache, states. */
  readonly streamedBytes: number;
  readonly macs: number;
  /** The multiply-adds as products of bytes (two where an operand has 16 bits), or of f32. */
  readonly byteProducts: number;
  readonly floatProducts: number;
  readonly exponentials: number;
}

/** What the machine can do at most, per second. */
export interface Limits {
  readonly readBytes: number;
  readonly byteProducts: number;
  readonly floatProducts: number;
}

/** A lower bound in seconds: reading alone or multiplying alone, whichever takes longer. */
export const leastSeconds = (cost: Cost, limits: Limits): number =>
  Math.max(
    cost.streamedBytes / limits.readBytes,
    cost.byteProducts / limits.byteProducts + cost.floatProducts / limits.floatProducts,
  );

export function costOfOp({ cost }: RecordedOp, isHead: boolean, passes: readonly Pass[]): Cost {
  let streamedBytes = 0;
  let activationBytes = 0;
  let macs = 0;
  let exponentials = 0;
  for (const { segments, logitRows } of passes) {
    const rows = isHead ? logitRows : segments.reduce((sum, s) => sum + s.rows, 0);
    if (rows === 0) continue;
    streamedBytes += cost.weightBytes;
    activationBytes += rows * cost.bytesPerRow;
    macs += rows * cost.macsPerRow;
    exponentials += rows * cost.exponentialsPerRow;
    for (const segment of segments) {
      streamedBytes += cost.stateBytes;
      activationBytes += cost.stateBytes;
      streamedBytes += reach(segment.position + segment.rows, cost.window) * cost.cacheBytesPerPosition;
      if (cost.macsPerPosition > 0) macs += attended(segment, cost.window) * cost.macsPerPosition;
    }
  }
  const byteProducts = macs * cost.byteProductsPerMac;
  const floatProducts = cost.byteProductsPerMac === 0 ? macs : 0;
  return {
    bytes: streamedBytes + activationBytes,
    streamedBytes,
    macs,
    byteProducts,
    floatProducts,
    exponentials,
  };
}

const NOTHING: Cost = {
  bytes: 0,
  streamedBytes: 0,
  macs: 0,
  byteProducts: 0,
  floatProducts: 0,
  exponentials: 0,
};

export function sumOfCosts(costs: readonly Cost[]): Cost {
  const keys = Object.keys(NOTHING) as (keyof Cost)[];
  const total = (key: keyof Cost) => costs.reduce((sum, cost) => sum + cost[key], 0);
  return Object.fromEntries(keys.map((key) => [key, total(key)])) as Record<keyof Cost, number>;
}

export const costOfPlan = (plan: Plan, passes: readonly Pass[]): Cost =>
  sumOfCosts(plan.ops.map((op, index) => costOfOp(op, index >= plan.headStart, passes)));

/**
 * The passes that reading `tokens` tokens from `position` takes, when one holds `maxRows`. The last gives
 * logits.
 */
export function promptPasses(tokens: number, position: number, maxRows: number): Pass[] {
  const passes: Pass[] = [];
  for (let from = 0; from < tokens; from += maxRows) {
    const rows = Math.min(maxRows, tokens - from);
    passes.push({
      segments: [{ rows, position: position + from }],
      logitRows: from + rows === tokens ? 1 : 0,
    });
  }
  return passes;
}

/** `steps` single tokens of each of `sessions` sessions from `position` on, all with logits. */
export function decodePasses(steps: number, sessions: number, position: number): Pass[] {
  return Array.from({ length: steps }, (_, step) => ({
    segments: Array.from({ length: sessions }, () => ({ rows: 1, position: position + step })),
    logitRows: sessions,
  }));
}

const reach = (positions: number, window: number): number =>
  window > 0 ? Math.min(positions, window) : positions;

/** Positions that all rows of a segment see together, each row its own included. */
function attended({ rows, position }: Pass['segments'][number], window: number): number {
  let sum = 0;
  for (let row = 1; row <= rows; row++) sum += reach(position + row, window);
  return sum;
}
