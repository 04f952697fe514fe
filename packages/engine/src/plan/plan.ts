// A plan: the model's forward pass, recorded once and replayed for every step. It knows each op's operands,
// cost and buffers, but no addresses; encode.ts places it in an arena.
//
// The functions that record ops are in ops/, one file per family: `linear(p, x, weight)` records a product in
// the plan that `p` builds, and returns where its result will be.
import { costOf, type Facts, type Numbers, type Op } from './ops/op.ts';
import type {
  Crossing,
  HiddenOutput,
  Operand,
  Plan,
  PlanBuffer,
  PlanOptions,
  PlanTraits,
  RecordedOp,
  RowSet,
  Value,
} from './recorded.ts';

export type * from './recorded.ts';

/** What an op works on, besides its fields. */
export interface Recording extends Partial<Facts> {
  readonly set: RowSet;
  readonly reads: readonly Value[];
  readonly writes: readonly Value[];
}

/** Fields that the recorder fills in where an op has them. */
type Filled = 'rows' | 'scratch' | 'threadBytes';

export type OperandsOf<F extends string> = Readonly<
  Record<Exclude<F, Filled>, Operand> & Partial<Record<Extract<F, 'threadBytes'>, Operand>>
>;

export class PlanBuilder {
  /** For training: no value that the backward needs is overwritten. */
  readonly keepsValues: boolean;
  readonly #overwrites: boolean;
  readonly #traits: PlanTraits;
  readonly #ops: RecordedOp[] = [];
  readonly #buffers: PlanBuffer[] = [];
  readonly #crossings: Crossing[] = [];
  #arena = 0;
  /** Codes of a value, valid until its buffer is written again. */
  readonly #codes = new Map<string, Value>();
  #headStart = -1;
  #hidden: HiddenOutput | null = null;
  #label = '';

  constructor(traits: PlanTraits, options: PlanOptions = {}) {
    this.#traits = traits;
    this.keepsValues = options.keepValues ?? false;
    this.#overwrites = !this.keepsValues && !options.keepStateInputs;
  }

  /** Names the ops that follow, for profiles and graphs. */
  label(text: string): void {
    this.#label = text;
  }

  /** A matrix of its own: [rows of set][columns]. */
  value(columns: number, set: RowSet = 'rows'): Value {
    const buffer = this.#buffer(set, (rows) => rows * columns * 4);
    return { buffer, offset: 0, stride: columns, columns, set };
  }

  /** `words` words, however many rows are live. */
  fixed(words: number): Value {
    const buffer = this.#buffer('rows', () => words * 4);
    return { buffer, offset: 0, stride: words, columns: words, set: 'rows' };
  }

  /** Columns [start, start + columns) of a value. */
  slice(value: Value, start: number, columns: number): Value {
    return { ...value, offset: value.offset + start, columns };
  }

  /**
   * Where a result goes: over `old`, which nobody needs any more, or to a place of its own when values are
   * kept.
   */
  overwrite(old: Value | undefined, columns: number, set: RowSet): Value {
    return (this.#overwrites ? old : undefined) ?? this.value(columns, set);
  }

  /**
   * The int8 codes of a value. Calls `make` to record the op that writes them, unless they are still there.
   */
  codesOf(x: Value, make: (codes: Value) => void): Value {
    const key = `${x.buffer}:${x.offset}:${x.columns}`;
    let codes = this.#codes.get(key);
    if (!codes) {
      const buffer = this.#buffer(x.set, (rows) => this.#traits.codesByteLength(rows, x.columns));
      codes = { ...x, buffer, offset: 0 };
      make(codes);
      this.#codes.set(key, codes);
    }
    return codes;
  }

  /**
   * Ops from here on work in another arena, on what `value`, a matrix of its own, holds here; returns it as it
   * is there. Returns `value` where they work in this arena already.
   */
  cross(arena: number, value: Value): Value {
    if (arena === this.#arena) return value;
    if (value.offset !== 0 || value.stride !== value.columns)
      throw new Error('plan: expected whole rows to cross to another arena, found some columns');
    this.#arena = arena;
    const to = this.value(value.columns, value.set);
    this.#crossings.push({ arena, start: this.#ops.length, from: value, to });
    return to;
  }

  /** Ops from here on are the head, replayed for each batch of rows that wants logits. */
  startHead(): void {
    this.#headStart = this.#ops.length;
  }

  /** The last hidden state is in `value`: what follows needs no replay for those who want nothing else. */
  markHidden(value: Value): void {
    this.#hidden = { value, end: this.#ops.length };
  }

  record<K extends string, F extends string>(
    op: Op<K, F>,
    { set, reads, writes, ...facts }: Recording,
    operands: OperandsOf<F>,
  ): void {
    for (const written of writes)
      for (const key of this.#codes.keys()) if (key.startsWith(`${written.buffer}:`)) this.#codes.delete(key);
    this.#ops.push(
      recorded(op, {
        set,
        label: this.#label,
        operands,
        reads: reads.map((v) => v.buffer),
        writes: writes.map((v) => v.buffer),
        facts,
      }),
    );
  }

  finish(logits: Value): Plan {
    if (this.#crossings.at(-1)?.start === this.#ops.length)
      throw new Error('plan: expected ops after a crossing, found none: what crosses would not be copied');
    return {
      ops: this.#ops,
      crossings: this.#crossings,
      buffers: this.#buffers,
      headStart: this.#headStart,
      logits,
      hidden: this.#hidden,
    };
  }

  #buffer(set: RowSet, byteLength: (rows: number) => number): number {
    return this.#buffers.push({ set, arena: this.#arena, byteLength }) - 1;
  }
}

/**
 * An op with its operands and its cost. Fills in `rows`, `scratch` and, unless it is given, `threadBytes` where the op has
 * them.
 */
export function recorded<K extends string, F extends string>(
  op: Op<K, F>,
  given: {
    readonly set: RowSet;
    readonly label: string;
    readonly operands: Readonly<Record<string, Operand>>;
    readonly reads: readonly number[];
    readonly writes: readonly number[];
    readonly facts: Partial<Facts>;
  },
): RecordedOp<K, F> {
  const { operands, facts, ...rest } = given;
  const fields = {
    ...('rows' in op.fields ? { rows: { step: given.set } } : {}),
    ...('threadBytes' in op.fields ? { threadBytes: op.scratchBytes(numbersOf(operands), 1) } : {}),
    ...operands,
    ...('scratch' in op.fields ? { scratch: { scratch: true } } : {}),
  } as Readonly<Record<F, Operand>>;
  for (const name of Object.keys(op.fields))
    if (!(name in fields))
      throw new Error(`plan: op ${op.kind}: expected an operand for ${name}, found none`);
  const cost = costOf(op, numbersOf(fields), facts);
  // Training with values computed again runs the op twice, each time on a state of its own.
  if (cost.stateBytes > 0 && !('stateOffset' in fields))
    throw new Error(
      `plan: op ${op.kind}: expected the place of its state as stateOffset, found no such field`,
    );
  return { kind: op.kind, definition: op, fields, cost, ...rest };
}

/** The operands that are numbers; NaN for those that are placed later. */
export const numbersOf = <F extends string>(fields: Readonly<Record<F, Operand>>): Numbers<F> =>
  Object.fromEntries(
    Object.entries<Operand>(fields).map(([name, operand]) => [name, Number(operand)]),
  ) as Numbers<F>;

/** Where a value lies. */
export const addressOf = (value: Value): Operand => ({
  buffer: value.buffer,
  byteOffset: value.offset * 4,
});

/** The operands of a matrix field `name`: where the value lies, and its stride. */
export const matrix = <N extends string>(name: N, value: Value): Record<N | `${N}Stride`, Operand> =>
  ({ [name]: addressOf(value), [`${name}Stride`]: value.stride }) as Record<N | `${N}Stride`, Operand>;

/** Ops in a row that work in one arena. */
export interface PlanPart {
  readonly arena: number;
  /** The first op, and the one after the last. */
  readonly start: number;
  readonly end: number;
  /** Null for the first. */
  readonly entry: Crossing | null;
}

/** The parts of a plan in order: one more than it has crossings. */
export function partsOfPlan({ ops, crossings }: Pick<Plan, 'ops' | 'crossings'>): PlanPart[] {
  const end = (i: number) => crossings[i]?.start ?? ops.length;
  return [
    { arena: 0, start: 0, end: end(0), entry: null },
    ...crossings.map((entry, i) => ({ arena: entry.arena, start: entry.start, end: end(i + 1), entry })),
  ];
}
