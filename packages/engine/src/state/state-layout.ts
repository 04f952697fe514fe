// Where a session's state lies: one recurrent block of fixed size (f32, the recurrent parts of all layers),
// and pages of attention cache with one table per cache group (the layers that share a window). In a model of
// several arenas each has a block and pages of its own, for its layers; what they hold, one behind the other,
// is what they would hold in one arena.

import type { ModelSpec } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { layerOf } from '../layers/index.ts';
import type { CarriedState } from '../layers/layer.ts';
import { arenaOf, type Cuts } from '../memory/cuts.ts';
import { type CacheType, PAGE_TOKENS, planeBytes } from '../plan/cache-layout.ts';
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

/** What one arena holds of a state. */
export interface ArenaLayout {
  readonly recurrentBytes: number;
  /** The same groups in every arena; pages of those that have no layer there take no bytes. */
  readonly groups: readonly CacheGroup[];
}

/** The whole state, and what each arena holds of it. Sizes and offsets within an arena are in `arenas`. */
export interface StateLayout extends ArenaLayout {
  readonly spec: ModelSpec;
  readonly cacheType: CacheType;
  readonly cuts: Cuts;
  readonly arenas: readonly ArenaLayout[];
  /** The state of mixer `index` of a layer, in the layer's arena. */
  part(layer: number, index: number): PartState;
}

/** Bytes of a state after `tokens`. A window may begin and end inside a page. */
export function stateBytesAt({ recurrentBytes, groups }: ArenaLayout, tokens: number): number {
  const pages = Math.ceil(tokens / PAGE_TOKENS);
  return groups.reduce((total, { window, pageBytes }) => {
    const kept = window === null ? pages : Math.min(pages, Math.ceil(window / PAGE_TOKENS) + 1);
    return total + kept * pageBytes;
  }, recurrentBytes);
}

const align = (bytes: number) => Math.ceil(bytes / 64) * 64;

export function stateLayout(spec: ModelSpec, cacheType: CacheType, cuts: Cuts = []): StateLayout {
  const windows: (number | null)[] = [];
  for (const { mixers } of spec.layers)
    for (const mixer of mixers) {
      const cache = layerOf(mixer).state?.(mixer).cache;
      if (cache && !windows.includes(cache.window)) windows.push(cache.window);
    }
  if (windows.length > MAX_CACHE_GROUPS)
    throw new ModelError(
      `model: attention windows: expected at most ${MAX_CACHE_GROUPS} different ones, found ${windows.length}`,
    );
  const arenas = Array.from({ length: cuts.length + 1 }, () => new ArenaPlaces(windows, cacheType));
  const parts = spec.layers.map(({ mixers }, layer) => {
    const arena = arenas[arenaOf(cuts, layer)]!;
    return mixers.map((mixer) => arena.place(layerOf(mixer).state?.(mixer) ?? {}));
  });
  const whole = arenas.length === 1 ? arenas[0]! : joined(arenas);
  const { recurrentBytes, groups } = whole;
  return { spec, cacheType, cuts, arenas, recurrentBytes, groups, part: (l, index) => parts[l]![index]! };
}

/** Gives mixers their places in one arena. */
class ArenaPlaces implements ArenaLayout {
  recurrentBytes = 0;
  readonly groups: { readonly window: number | null; pageBytes: number; readonly members: CacheMember[] }[];
  readonly #cacheType: CacheType;

  constructor(windows: readonly (number | null)[], cacheType: CacheType) {
    this.groups = windows.map((window) => ({ window, pageBytes: 0, members: [] }));
    this.#cacheType = cacheType;
  }

  place({ recurrent = {}, cache }: CarriedState<string>): PartState {
    const offsets: Record<string, number> = {};
    for (const [name, bytes] of Object.entries(recurrent)) {
      offsets[name] = this.recurrentBytes;
      this.recurrentBytes += align(bytes);
    }
    if (!cache) return { offsets, cache: null };
    const { kvHeads, headSize } = cache;
    const number = this.groups.findIndex(({ window }) => window === cache.window);
    const group = this.groups[number]!;
    const place = { group: number, layerOffset: group.pageBytes, type: this.#cacheType };
    group.pageBytes += 2 * planeBytes(this.#cacheType, kvHeads, headSize);
    group.members.push({ place, kvHeads, headSize });
    return { offsets, cache: place };
  }
}

function joined(arenas: readonly ArenaLayout[]): ArenaLayout {
  const sum = (bytes: (arena: ArenaLayout) => number) => arenas.reduce((total, a) => total + bytes(a), 0);
  return {
    recurrentBytes: sum(({ recurrentBytes }) => recurrentBytes),
    groups: arenas[0]!.groups.map(({ window }, g) => ({
      window,
      pageBytes: sum(({ groups }) => groups[g]!.pageBytes),
      members: arenas.flatMap(({ groups }) => groups[g]!.members),
    })),
  };
}
