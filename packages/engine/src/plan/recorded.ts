// What a plan is made of: values, operands, recorded ops. PlanBuilder (plan.ts) makes them, encode.ts places
// them.
import type { CacheType } from './cache-layout.ts';
import type { WeightLayout } from './layouts.ts';
import type { Op, OpCost } from './ops/op.ts';

/**
 * Which row count an activation follows: tokens of the step, rows that want logits, or routed (token, expert)
 * pairs.
 */
export type RowSet = 'rows' | 'logitRows' | 'slots';

/** An activation matrix, or a range of its columns: f32 [rows of set][columns], `stride` floats apart. */
export interface Value {
  readonly buffer: number;
  /** First column, in floats. */
  readonly offset: number;
  readonly stride: number;
  readonly columns: number;
  readonly set: RowSet;
}

/** A weight where it lies in the arena. */
export interface PlacedWeight {
  readonly address: number;
  readonly layout: WeightLayout;
  readonly rows: number;
  readonly columns: number;
  readonly byteLength: number;
}

/** What a field of a record will hold once placed. */
export type Operand =
  | number
  | { readonly buffer: number; readonly byteOffset: number }
  | {
      readonly step:
        | 'rows'
        | 'logitRows'
        | 'slots'
        | 'segments'
        | 'tokens'
        | 'rowSegment'
        | 'positions'
        | 'types'
        | 'logitIndices';
    }
  | { readonly scratch: true };

export interface RecordedOp<K extends string = string, F extends string = string> {
  readonly kind: K;
  readonly definition: Op<K, F>;
  /** For people: "layer 3 inProj". */
  readonly label: string;
  readonly fields: Readonly<Record<F, Operand>>;
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  readonly set: RowSet;
  readonly cost: OpCost;
}

export interface PlanBuffer {
  readonly set: RowSet;
  /** The number of the arena that it lies in. */
  readonly arena: number;
  /** Bytes for `rows` rows of the set. */
  byteLength(rows: number): number;
}

/** Where a plan goes on in another arena. */
export interface Crossing {
  /** The number of that arena. */
  readonly arena: number;
  /** The first op there. */
  readonly start: number;
  /** What is copied before it runs: a value of the arena before, and the same in this one. */
  readonly from: Value;
  readonly to: Value;
}

export interface Plan {
  readonly ops: readonly RecordedOp[];
  /** In order; none where one arena holds everything. */
  readonly crossings: readonly Crossing[];
  readonly buffers: readonly PlanBuffer[];
  /** Ops from here on are the head, replayed for each batch of rows that wants logits. */
  readonly headStart: number;
  readonly logits: Value;
  /** The last hidden state, after the final norm. */
  readonly hidden?: HiddenOutput | null;
}

/** Ops of the head up to `end` compute `value`: a replay may stop there. */
export interface HiddenOutput {
  readonly value: Value;
  readonly end: number;
}

export interface PlanOptions {
  /**
   * For training: no value that the backward needs is overwritten; ops that would work in place write a fresh
   * value. (Rotary positions stay in place: their gradient needs no input.)
   */
  readonly keepValues?: boolean;
  /**
   * For drafts: ops that would work in place write a fresh value, so that ops that carry state can run again on
   * what they read.
   */
  readonly keepStateInputs?: boolean;
}

/** What a backend tells the recorder about its packed-weight path. */
export interface PlanTraits {
  /** Bytes of the int8 codes of `rows` rows. */
  codesByteLength(rows: number, columns: number): number;
}

export interface CachePlace {
  readonly group: number;
  readonly layerOffset: number;
  readonly type: CacheType;
}
