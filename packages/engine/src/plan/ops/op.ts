// What an op is: the fields of its record, what it costs, and how much scratch memory its kernel wants. The
// families beside this file define the ops, each with the function that records it.

/** What an op costs: fixed parts, and parts per live row (and per cached position that a row attends to). */
export interface OpCost {
  readonly weightBytes: number;
  readonly macsPerRow: number;
  /**
   * Products of bytes that a multiply-add takes: 1 where both sides are bytes, 2 where one has 16 bits, 0
   * where it is f32.
   */
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

export const ZERO_COST: OpCost = {
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

/** The type of a field in AssemblyScript. Every field is one word. */
export type FieldType = 'usize' | 'i32' | 'f32';
/** A byte offset into the arena (0: absent), or a size in bytes. */
export const address: FieldType = 'usize';
export const integer: FieldType = 'i32';
export const float: FieldType = 'f32';

type MatrixFields<N extends string> = Record<N | `${N}Stride`, FieldType>;

/** The fields of an activation matrix `name`: where it lies, and its stride in floats. */
export const matrixFields = <N extends string>(name: N): MatrixFields<N> =>
  ({ [name]: address, [`${name}Stride`]: 'usize' }) as MatrixFields<N>;

/** A record's fields as far as they are known when it is recorded; NaN where they are placed later. */
export type Numbers<F extends string> = Readonly<Record<F, number>>;

/** What a cost depends on besides the fields. */
export interface Facts {
  /** Bytes of weights that one run reads. */
  readonly weightBytes: number;
  /** Experts that each row is routed to; 1 where nothing is routed. */
  readonly topK: number;
}

export interface Op<K extends string = string, F extends string = string> {
  readonly kind: K;
  /** In the order of the record's words. */
  readonly fields: Readonly<Record<F, FieldType>>;
  /** Its parts that are not 0. */
  cost(op: Numbers<F>, facts: Facts): Partial<OpCost>;
  /**
   * Bytes for all threads of the WebAssembly kernels; 0 for ops without a scratch field. Kernels read their share in
   * the field `threadBytes`.
   */
  scratchBytes(op: Numbers<F>, threads: number): number;
}

/** Defines an op. Without `cost` it costs nothing that counts. */
export function defineOp<const K extends string, F extends string>(
  kind: K,
  fields: Readonly<Record<F, FieldType>>,
  options: Partial<Pick<Op<K, F>, 'cost' | 'scratchBytes'>> = {},
): Op<K, F> {
  return { kind, fields, cost: () => ({}), scratchBytes: () => 0, ...options };
}

/**
 * The cost of an op with these fields. NaN as a result of an operand that is placed later is a mistake of the
 * op's.
 */
export function costOf<F extends string>(
  op: Op<string, F>,
  numbers: Numbers<F>,
  facts: Partial<Facts>,
): OpCost {
  const cost = { ...ZERO_COST, ...op.cost(numbers, { weightBytes: 0, topK: 1, ...facts }) };
  if (Object.values(cost).some(Number.isNaN))
    throw new Error(`plan: ${op.kind}: its cost depends on a field that is not known when it is recorded`);
  return cost;
}
