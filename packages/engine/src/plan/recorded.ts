// What a plan is made of: values, operands, costs, recorded ops. PlanBuilder (plan.ts) makes them, encode.ts places them.
import type { CacheType } from './cache-layout.ts';
import type { WeightLayout } from './layouts.ts';
import type { OpFields, OpKind } from './ops.ts';

/** Which row count an activation follows: tokens of the step, rows that want logits, or routed (token, expert) pairs. */
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
        | 'logitIndices';
    }
  | { readonly scratch: true };

/** What an op costs: fixed parts, and parts for each live row (and for each cached position that a row attends to). */
export interface OpCost {
  readonly weightBytes: number;
  readonly macsPerRow: number;
  /** Products of bytes that a multiply-add takes: 1 where both sides are bytes, 2 where one has 16 bits, 0 where it is f32. */
  readonly byteProductsPerMac: 0 | 1 | 2;
  /** Recurrent state of a session, read and written once. */
  readonly stateBytes: number;
  readonly bytesPerRow: number;
  readonly exponentialsPerRow: number;
  readonly cacheBytesPerPosition: number;
  readonly macsPerPosition: number;
  /** Positions beyond this are not read; 0: no limit. */
  readonly window: number;
}

/** An op that costs nothing. */
export const FREE: OpCost = {
  weightBytes: 0,
  macsPerRow: 0,
  byteProductsPerMac: 0,
  stateBytes: 0,
  bytesPerRow: 0,
  exponentialsPerRow: 0,
  cacheBytesPerPosition: 0,
  macsPerPosition: 0,
  window: 0,
};

export interface RecordedOp<K extends OpKind = OpKind> {
  readonly kind: K;
  /** For people: "layer 3 inProj". */
  readonly label: string;
  readonly fields: Record<keyof OpFields<K>, Operand>;
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  readonly set: RowSet;
  readonly cost: OpCost;
}

export interface PlanBuffer {
  readonly set: RowSet;
  /** Bytes for `rows` rows of the set. */
  byteLength(rows: number): number;
}

export interface Plan {
  readonly ops: readonly RecordedOp[];
  readonly buffers: readonly PlanBuffer[];
  /** Ops from here on are the head, replayed for each batch of rows that wants logits. */
  readonly headStart: number;
  readonly logits: Value;
}

export interface PlanOptions {
  /**
   * For training: no value that the backward needs is overwritten; ops that would work in place write a fresh value. (Rotary
   * positions stay in place: their gradient needs no input.)
   */
  readonly keepValues?: boolean;
}

/** What a backend tells the recorder about its packed-weight path. */
export interface PlanTraits {
  /** Bytes of the int8 codes of `rows` rows. */
  codesByteLength(rows: number, columns: number): number;
}

export interface ScanOperands {
  readonly u: Value;
  readonly dt: Value;
  readonly dtBias: PlacedWeight | null;
  readonly b: Value;
  readonly c: Value;
  readonly z: Value;
  readonly a: PlacedWeight;
  readonly d: PlacedWeight;
  readonly states: number;
  readonly stateOffset: number;
}

export interface CachePlace {
  readonly group: number;
  readonly layerOffset: number;
  readonly type: CacheType;
  /** Bytes of keys and values that one position of this layer occupies. */
  readonly bytesPerPosition: number;
}

export interface Routing {
  readonly offsets: Value;
  readonly slotRows: Value;
  readonly slotOf: Value;
  readonly weights: Value;
  readonly experts: number;
  readonly topK: number;
}
