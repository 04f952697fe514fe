// The small contract between the engine and whatever runs its ops.

import type { TensorType } from '../formats/types.ts';
import type { Arena } from '../memory/arena.ts';
import type { PlanTraits, RecordedOp, RowSet } from '../plan/plan.ts';
import type { WideSimd } from '../platform/types.ts';
import type { LoadJob } from './load/load-job.ts';

/** Encoded ops in the arenas: their records' addresses, in order. */
export interface Program {
  readonly records: readonly number[];
  /** The number of the arena that each op works in; default: all in the first. */
  readonly arenas?: readonly number[];
  /** Ops from here on are the head. */
  readonly headStart: number;
  /** The same ops as they were recorded, for their costs. */
  readonly ops?: readonly RecordedOp[];
}

/**
 * How much there is to do in a run: live rows of each set, and the cached positions that a row attends to at
 * most.
 */
export type StepLoad = Readonly<Record<RowSet, number>> & { readonly depth: number };

/** Milliseconds of each op of a program since profiling was switched on. */
export type OpTimes = Float64Array;

/** How activations meet quantised weights. */
export type ActivationPrecision = 'auto' | 'f32' | 'int8';

/** Which matrices have a packed layout, for the int8 path. */
export interface PackingRules {
  canPack(type: TensorType, rows: number, columns: number): boolean;
  packedByteLength(type: TensorType, rows: number, columns: number): number;
}

export interface Backend {
  readonly name: 'reference' | 'wasm';
  /** The first arena, and the only one of most models. */
  readonly arena: Arena;
  readonly arenas: readonly Arena[];
  readonly threads: number;
  /** Shown to users: which build of the kernels, how many threads. */
  readonly description: string;
  /** Tokens in one replay of a plan. */
  readonly maxRows: number;
  readonly traits: PlanTraits;
  /** Rules of the int8 path; null when there is none. */
  readonly packing: PackingRules | null;
  /** Adds arenas until there are `count`. Before anything is loaded. */
  addArenas(count: number): void;
  /** Bytes of scratch that an op needs, for all threads. */
  scratchBytes(op: RecordedOp): number;
  /** Reads weights into the arenas. Calls `done` with the bytes read after each job. */
  load(jobs: readonly LoadJob[], done: (byteLength: number) => void, signal?: AbortSignal): Promise<void>;
  /** Makes a program known to all threads. */
  install(program: Program): Promise<void>;
  /**
   * Runs the ops from `start` to `end` in order. One call at a time. A backend that computes on the calling
   * thread gives it back every few tens of milliseconds, also across calls. `load` helps to share the work
   * out well.
   */
  run(start: number, end: number, load?: StepLoad): Promise<void>;
  /** Switches per-op timing on or off; returns the times so far. */
  profile(on: boolean): OpTimes | null;
  close(): Promise<void>;
}

export interface BackendOptions {
  readonly threads?: number | undefined;
  readonly variant?: 'relaxed' | 'baseline' | undefined;
  readonly precision?: ActivationPrecision | undefined;
  readonly maxRows?: number | undefined;
  readonly wideSimd?: WideSimd | undefined;
  /** Called with the threads that are ready so far, from 0 on, and how many there will be. */
  readonly onStart?: ((ready: number, threads: number) => void) | undefined;
}
