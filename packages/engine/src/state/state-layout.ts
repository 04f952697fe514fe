// Where a session's state lies: one fixed recurrent block (scan state and last conv inputs of every Mamba layer, f32), and
// pages of attention cache, one table for each cache group (attention layers that share a window).

import type { ModelSpec } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { type CacheType, PAGE_TOKENS, planeBytes } from '../plan/cache-layout.ts';
import type { CachePlace } from '../plan/plan.ts';
import { MAX_CACHE_GROUPS } from '../plan/step.ts';

export interface CacheGroup {
  /** Positions that a token sees, itself included; null: all. */
  readonly window: number | null;
  readonly pageBytes: number;
  readonly layers: readonly number[];
}

export interface StateLayout {
  readonly spec: ModelSpec;
  readonly cacheType: CacheType;
  readonly recurrentBytes: number;
  readonly groups: readonly CacheGroup[];
  mamba(layer: number): { readonly convOffset: number; readonly scanOffset: number };
  attention(layer: number): CachePlace;
}

const align = (bytes: number) => Math.ceil(bytes / 64) * 64;

export function stateLayout(spec: ModelSpec, cacheType: CacheType): StateLayout {
  const mamba = new Map<number, { convOffset: number; scanOffset: number }>();
  const attention = new Map<number, CachePlace>();
  const groups: { window: number | null; pageBytes: number; layers: number[] }[] = [];
  let recurrentBytes = 0;
  spec.layers.forEach(({ mixer }, index) => {
    if (mixer.kind === 'mamba') {
      const convOffset = recurrentBytes;
      const scanOffset = convOffset + align((mixer.convWidth - 1) * mixer.innerSize * 4);
      recurrentBytes = scanOffset + align(Math.ceil(mixer.innerSize / 4) * mixer.stateSize * 16);
      mamba.set(index, { convOffset, scanOffset });
      return;
    }
    let group = groups.find((g) => g.window === mixer.window);
    if (!group) groups.push((group = { window: mixer.window, pageBytes: 0, layers: [] }));
    const bytes = 2 * planeBytes(cacheType, mixer.kvHeads, mixer.headSize);
    const place = {
      group: groups.indexOf(group),
      layerOffset: group.pageBytes,
      type: cacheType,
      bytesPerPosition: bytes / PAGE_TOKENS,
    };
    attention.set(index, place);
    group.pageBytes += bytes;
    group.layers.push(index);
  });
  if (groups.length > MAX_CACHE_GROUPS)
    throw new ModelError(
      `model: attention windows: expected at most ${MAX_CACHE_GROUPS} different ones, found ${groups.length}`,
    );
  const need = <T>(found: T | undefined, layer: number): T => {
    if (found === undefined) throw new ModelError(`model: layer ${layer} holds no state of this kind`);
    return found;
  };
  return {
    spec,
    cacheType,
    recurrentBytes,
    groups,
    mamba: (layer) => need(mamba.get(layer), layer),
    attention: (layer) => need(attention.get(layer), layer),
  };
}
