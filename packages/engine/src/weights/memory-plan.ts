// How much memory a model takes, and over how many arenas it has to be spread: as few as hold its weights, what
// ops work in, and the state of a session; cut between layers so that all have about the same left.
import { expertsPerToken, type ModelSpec } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { ARENA_BYTES } from '../memory/arena.ts';
import type { Cuts } from '../memory/cuts.ts';
import type { CacheType } from '../plan/cache-layout.ts';
import { placeBuffers } from '../plan/encode.ts';
import { numbersOf, PlanBuilder, type PlanTraits, type RowSet } from '../plan/plan.ts';
import { forward } from '../runtime/forward.ts';
import { MAX_LOGIT_ROWS } from '../runtime/step-block.ts';
import { stateBytesAt, stateLayout } from '../state/state-layout.ts';
import { type UnplacedWeight, unplacedWeights } from './place.ts';

/** What a model's memory depends on. */
export interface MemoryNeeds {
  readonly spec: ModelSpec;
  readonly weights: readonly UnplacedWeight[];
  readonly cacheType: CacheType;
  /** Length of the session that is to have room. Default: the context, at most 32,768 tokens. */
  readonly sessionTokens?: number | undefined;
  /** Of the backend. */
  readonly traits: PlanTraits;
  readonly maxRows: number;
  readonly threads: number;
}

/** What lies in one arena. */
export interface ArenaPlan {
  /** Its first layer, and the one after its last. */
  readonly layers: readonly [from: number, to: number];
  readonly weightBytes: number;
  /** At most: values of the largest pass, and scratch. */
  readonly workBytes: number;
  /** A session of `sessionTokens`. */
  readonly stateBytes: number;
}

export interface MemoryPlan {
  /** Layers before which another arena begins. */
  readonly cuts: Cuts;
  readonly arenas: readonly ArenaPlan[];
  readonly sessionTokens: number;
  /** Whether every arena has room for its part of that session. */
  readonly fitsSession: boolean;
  readonly weightBytes: number;
  readonly workBytes: number;
  readonly stateBytes: number;
}

/** In each arena, for programs, page tables, drafts, and the gaps between blocks. */
const SPARE_BYTES = 2 ** 27;
const SESSION_TOKENS = 32_768;
/** Where not even one layer has room for that many: what a session has to have. */
const LEAST_TOKENS = 1024;
/** Models below this are not worth recording a plan for, before the one that runs: their work fits, too. */
const SMALL_BYTES = 2 ** 31;

/**
 * Spreads a model over arenas, as few as possible unless `cuts` are given. Throws ModelError where a layer, or
 * embedding and head together, are larger than an arena.
 */
export function planMemory(needs: MemoryNeeds, cuts?: Cuts): MemoryPlan {
  const { spec, sessionTokens = Math.min(spec.contextLength, SESSION_TOKENS) } = needs;
  const [own, ...layers] = [-1, ...spec.layers.keys()].map((layer) => weightsOf(needs, layer));
  const state = (tokens: number) => stateByLayer(needs, tokens);
  const all = sum([own!, ...layers, ...state(sessionTokens)]);
  const workBytes = all < SMALL_BYTES && !cuts?.length ? 0 : workOf(needs);
  const room = ARENA_BYTES - SPARE_BYTES - workBytes;
  const cutAt = (tokens: number) => fewestCuts(own!, sums(layers, state(tokens)), room);
  const chosen = cuts ?? cutAt(sessionTokens) ?? cutAt(LEAST_TOKENS) ?? refuse(own!, layers, room);
  return describe(chosen, { own: own!, layers, state: state(sessionTokens), sessionTokens, workBytes });
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const sums = (a: readonly number[], b: readonly number[]): number[] => a.map((value, i) => value + b[i]!);

const weightsOf = ({ weights }: MemoryNeeds, wanted: number): number =>
  sum(weights.map(({ layer, placed }) => (layer === wanted ? placed.byteLength : 0)));

/** Bytes of each layer's state after `tokens`. */
function stateByLayer({ spec, cacheType }: MemoryNeeds, tokens: number): number[] {
  const apart = stateLayout(spec, cacheType, [...spec.layers.keys()].slice(1));
  return apart.arenas.map((arena) => stateBytesAt(arena, tokens));
}

/** Null where a layer alone is larger than `room`. The first arena holds `own` besides its layers. */
function fewestCuts(own: number, layers: readonly number[], room: number): Cuts | null {
  const whole = greedyCuts(own, layers, room);
  if (!whole?.length) return whole;
  // The least room that takes no more arenas: then each has about as much left as any other.
  let [low, high] = [Math.max(own, ...layers), room];
  while (high - low > 2 ** 16) {
    const middle = (low + high) / 2;
    const cuts = greedyCuts(own, layers, middle);
    if (cuts && cuts.length <= whole.length) high = middle;
    else low = middle;
  }
  return greedyCuts(own, layers, high);
}

function greedyCuts(own: number, layers: readonly number[], room: number): number[] | null {
  const cuts: number[] = [];
  let filled = own;
  if (own > room) return null;
  for (const [layer, bytes] of layers.entries()) {
    if (filled + bytes > room) {
      cuts.push(layer);
      filled = 0;
    }
    filled += bytes;
    if (filled > room) return null;
  }
  return cuts;
}

function refuse(own: number, layers: readonly number[], room: number): never {
  const largest = Math.max(...layers);
  const [what, bytes] =
    own > room ? ['embedding and head', own] : [`layer ${layers.indexOf(largest)}`, largest];
  throw new ModelError(
    `memory: ${what}: expected at most ${gibibytes(room)}, which one WebAssembly memory has room for, found ` +
      `${gibibytes(bytes)}. Use fewer bits for the weights.`,
    { code: 'out-of-memory' },
  );
}

function describe(
  cuts: Cuts,
  parts: {
    readonly own: number;
    readonly layers: readonly number[];
    readonly state: readonly number[];
    readonly sessionTokens: number;
    readonly workBytes: number;
  },
): MemoryPlan {
  const { own, layers, state, sessionTokens, workBytes } = parts;
  const arenas = [...cuts, layers.length].map((to, a) => {
    const from = cuts[a - 1] ?? 0;
    return {
      layers: [from, to] as const,
      weightBytes: sum(layers.slice(from, to)) + (a === 0 ? own : 0),
      workBytes,
      stateBytes: sum(state.slice(from, to)),
    };
  });
  return {
    cuts,
    arenas,
    sessionTokens,
    fitsSession: arenas.every((a) => a.weightBytes + a.workBytes + a.stateBytes <= ARENA_BYTES - SPARE_BYTES),
    weightBytes: sum(arenas.map((a) => a.weightBytes)),
    workBytes: sum(arenas.map((a) => a.workBytes)),
    stateBytes: sum(arenas.map((a) => a.stateBytes)),
  };
}

/** Bytes that the ops of the uncut model work in: values of the largest pass, and scratch of all threads. */
function workOf({ spec, weights, cacheType, traits, maxRows, threads }: MemoryNeeds): number {
  const table = unplacedWeights(spec, weights);
  const plan = forward(new PlanBuilder(traits), spec, table, stateLayout(spec, cacheType));
  const slots = maxRows * expertsPerToken(spec);
  const rows: Record<RowSet, number> = { rows: maxRows, logitRows: MAX_LOGIT_ROWS, slots };
  const scratch = plan.ops.map(({ definition, fields }) =>
    definition.scratchBytes(numbersOf(fields), threads),
  );
  return placeBuffers(plan, (set) => rows[set]).byteLength + Math.max(0, ...scratch);
}

/** Throws ModelError where the model needs more than `available` bytes, with its plan and what to do. */
export function checkFits(plan: MemoryPlan, available: number | null): void {
  const needed = plan.weightBytes + plan.workBytes;
  if (available === null || needed <= available) return;
  throw new ModelError(
    `memory: expected ${gibibytes(needed)} free for ${sentence(plan)}, found ${gibibytes(available)}. ` +
      'Use fewer bits for the weights or a smaller model, or close other programs; ' +
      'memoryBytes: Infinity loads it all the same.',
    { code: 'out-of-memory' },
  );
}

/** "5.9 GiB of weights in 2 WebAssembly memories (layers 0–15, 16–31) and 0.2 GiB to work in" */
function sentence({ arenas, weightBytes, workBytes }: MemoryPlan): string {
  const where = arenas.map(({ layers: [from, to] }) => (to - from > 1 ? `${from}–${to - 1}` : `${from}`));
  const spread =
    arenas.length > 1 ? ` in ${arenas.length} WebAssembly memories (layers ${where.join(', ')})` : '';
  const work = workBytes > 0 ? ` and ${gibibytes(workBytes)} to work in` : '';
  return `${gibibytes(weightBytes)} of weights${spread}${work}`;
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(bytes < 10 * 2 ** 30 ? 2 : 1)} GiB`;
