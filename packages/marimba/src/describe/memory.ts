// How much memory a model takes at a context length: weights, the fixed recurrent state, and the attention
// cache.
import type { CacheType, ModelSpec } from '@marimba/engine';
import { PAGE_TOKENS, stateBytesAt, stateLayout } from '@marimba/engine/plan';

export interface MemoryAt {
  readonly context: number;
  readonly weightBytes: number;
  readonly recurrentBytes: number;
  readonly cacheBytes: number;
  readonly totalBytes: number;
}

/** What each further token adds to the cache while no window is full. */
export const cacheBytesPerToken = (spec: ModelSpec, cacheType: CacheType): number =>
  stateLayout(spec, cacheType).groups.reduce((sum, group) => sum + group.pageBytes / PAGE_TOKENS, 0);

export function memoryAt(
  spec: ModelSpec,
  weightBytes: number,
  cacheType: CacheType,
  context: number,
): MemoryAt {
  const layout = stateLayout(spec, cacheType);
  const { recurrentBytes } = layout;
  const cacheBytes = stateBytesAt(layout, context) - recurrentBytes;
  return {
    context,
    weightBytes,
    recurrentBytes,
    cacheBytes,
    totalBytes: weightBytes + recurrentBytes + cacheBytes,
  };
}

/** 1K, 4K, 16K, 64K, 128K, 256K … up to and including `longest`. */
export function contextSteps(longest: number): number[] {
  const steps = [1, 4, 16, 64, 128].map((k) => k * 1024);
  for (let next = 256 * 1024; next < longest; next *= 2) steps.push(next);
  return [...steps.filter((step) => step < longest), longest];
}
