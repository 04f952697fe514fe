// Where a session's state lies: one recurrent block of fixed size (f32, the recurrent parts of all layers),
// and pages of attention cache with one table per cache group (the layers that share a window).

import type { ModelSpec } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { layerOf } from '../layers/index.ts';
import { type CacheType, planeBytes } from '../plan/cache-layout.ts';
import type { CachePlace } from '../plan/plan.ts';
import { MAX_CACHE_GROUPS } from '../plan/step.ts';

export interface CacheGroup {
  /** Positions that a token sees, itself included; null: all. */
  readonly window: number | null;
  readonly pageBytes: number;
  /** Keys and values in each page, in this order. */
  readonly members: readonly CacheMember[];
}

/** One mixer's share of each page of its group. */
export interface CacheMember {
  readonly place: CachePlace;
  readonly kvHeads: number;
  readonly headSize: number;
}

/** Where one mixer finds its state. */
export interface PartState {
  /** Bytes from the start of a session's recurrent block, by the part's name. */
  readonly offsets: Readonly<Record<string, number>>;
  readonly cache: CachePlace | null;
}

export interface StateLayout {
  readonly spec: ModelSpec;
  readonly cacheType: CacheType;
  readonly recurrentBytes: number;
  readonly groups: readonly CacheGroup[];
  /** The state of mixer `index` of a layer. */
  part(layer: number, index: number): PartState;
}

const align = (bytes: number) => Math.ceil(bytes / 64) * 64;

export function stateLayout(spec: ModelSpec, cacheType: CacheType): StateLayout {
  const groups: { window: number | null; pageBytes: number; members: CacheMember[] }[] = [];
  let recurrentBytes = 0;
  const parts = spec.layers.map(({ mixers }) =>
    mixers.map((mixer): PartState => {
      const { recurrent = {}, cache } = layerOf(mixer).state?.(mixer) ?? {};
      const offsets: Record<string, number> = {};
      for (const [name, bytes] of Object.entries(recurrent)) {
        offsets[name] = recurrentBytes;
        recurrentBytes += align(bytes);
      }
      if (!cache) return { offsets, cache: null };
      let group = groups.find(({ window }) => window === cache.window);
      if (!group) groups.push((group = { window: cache.window, pageBytes: 0, members: [] }));
      const bytes = 2 * planeBytes(cacheType, cache.kvHeads, cache.headSize);
      const place = {
        group: groups.indexOf(group),
        layerOffset: group.pageBytes,
        type: cacheType,
      };
      group.pageBytes += bytes;
      group.members.push({ place, kvHeads: cache.kvHeads, headSize: cache.headSize });
      return { offsets, cache: place };
    }),
  );
  if (groups.length > MAX_CACHE_GROUPS)
    throw new ModelError(
      `model: attention windows: expected at most ${MAX_CACHE_GROUPS} different ones, found ${groups.length}`,
    );
  return { spec, cacheType, recurrentBytes, groups, part: (layer, index) => parts[layer]![index]! };
}
