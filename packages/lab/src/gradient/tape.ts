// The gradient of a recorded plan (reverse-mode differentiation: Griewank & Walther 2008, chapter 3). A tape
// walks the forward's ops backwards; each op's rule appends the ops that turn the gradient of its result into
// those of its operands.
//
// The gradient of a buffer is a buffer of the same layout, so that a slice's gradient is the same slice of
// it. The first rule that reaches a slice writes it, later ones add; the tape keeps account of that, so
// nothing has to be cleared.
import {
  type Facts,
  type Op,
  type Operand,
  type OperandsOf,
  type OpFields,
  type OpKind,
  opOf,
  type PlanBuffer,
  type RecordedOp,
  type RowSet,
  recorded,
} from '@marimba/engine/plan';

/** What the rules have to know about the world beyond the plan. */
export interface GradientContext {
  /** Address of the gradient of the weight at `address`. */
  weightGradient(address: number): number;
  /** Address of the gradient of log(-a), for the decay `a` that lies at `address`. */
  decayGradient(address: number): number;
  /** Address of the same inverse frequencies with the other sign. */
  negatedFrequencies(address: number): number;
  readonly maxRows: number;
  /** A token whose embedding is not trained (padding), or -1. */
  readonly skipToken: number;
  /** Weight of the load-balancing loss of each routed layer, and where its value for each row goes. */
  readonly balance: { readonly scale: number; lossesOfLayer(): number };
  /** Address of the f32 that the loss's gradient is scaled by, of the targets, and of each row's loss. */
  readonly loss: { readonly meanScale: number; readonly targets: number; readonly losses: number };
}

type BufferOperand = Extract<Operand, { buffer: number }>;

interface Range {
  readonly from: number;
  readonly to: number;
}

export class Tape {
  readonly context: GradientContext;
  readonly ops: RecordedOp[];
  readonly buffers: PlanBuffer[];
  /** By forward buffer: the buffer of its gradient. */
  readonly #gradients = new Map<number, number>();
  /** By gradient buffer: the columns that hold something. */
  readonly #written = new Map<number, Range[]>();
  #label = '';

  /** `ops` and `buffers` of the forward; the tape appends to copies of them. */
  constructor(context: GradientContext, ops: readonly RecordedOp[], buffers: readonly PlanBuffer[]) {
    this.context = context;
    this.ops = [...ops];
    this.buffers = [...buffers];
  }

  label(text: string): void {
    this.#label = text;
  }

  /** The gradient that has been collected for an operand's columns; null when nothing depends on them. */
  gradient(operand: Operand, columns: number): Operand | null {
    const { buffer, byteOffset } = bufferOf(operand);
    const gradient = this.#gradients.get(buffer);
    if (gradient === undefined || !this.#covers(gradient, byteOffset / 4, columns)) return null;
    return { buffer: gradient, byteOffset };
  }

  /**
   * Where a rule puts its share of an operand's gradient, and whether something lies there that it must add
   * to.
   */
  target(operand: Operand, columns: number): { at: Operand; accumulate: 0 | 1 } {
    const { buffer, byteOffset } = bufferOf(operand);
    let gradient = this.#gradients.get(buffer);
    if (gradient === undefined)
      this.#gradients.set(buffer, (gradient = this.buffers.push(this.buffers[buffer]!) - 1));
    const from = byteOffset / 4;
    const accumulate = this.#covers(gradient, from, columns) ? 1 : 0;
    if (!accumulate) this.#mark(gradient, { from, to: from + columns });
    return { at: { buffer: gradient, byteOffset }, accumulate };
  }

  /** The same for ops that only write: every operand of theirs has no other reader. */
  fresh(operand: Operand, columns: number): Operand {
    const { at, accumulate } = this.target(operand, columns);
    if (accumulate)
      throw new Error(`gradient: ${this.#label}: expected one reader of an operand, found several`);
    return at;
  }

  /** The gradient of `operand` from here on is that of `result`, which nothing reads any more. */
  alias(operand: Operand, result: Operand): boolean {
    const from = bufferOf(operand);
    const to = this.#gradients.get(bufferOf(result).buffer);
    if (
      to === undefined ||
      this.#gradients.has(from.buffer) ||
      from.byteOffset !== 0 ||
      bufferOf(result).byteOffset !== 0
    )
      return false;
    this.#gradients.set(from.buffer, to);
    return true;
  }

  /** The buffer's gradient lies in the buffer itself. */
  seed(operand: Operand, columns: number): void {
    const { buffer, byteOffset } = bufferOf(operand);
    this.#gradients.set(buffer, buffer);
    this.#mark(buffer, { from: byteOffset / 4, to: byteOffset / 4 + columns });
  }

  /** Memory that one op uses. */
  temporary(set: RowSet, byteLength: (rows: number) => number): Operand {
    return { buffer: this.buffers.push({ set, arena: 0, byteLength }) - 1, byteOffset: 0 };
  }

  append<K extends OpKind>(
    kind: K,
    set: RowSet,
    operands: OperandsOf<keyof OpFields<K> & string>,
    facts: Partial<Facts> = {},
  ): void {
    this.appendOp(opOf(kind), set, operands, facts);
  }

  /** The same for an op of one's own. */
  appendOp<F extends string>(
    op: Op<string, F>,
    set: RowSet,
    operands: OperandsOf<F>,
    facts: Partial<Facts> = {},
  ): void {
    const touched = Object.values<Operand>(operands).flatMap((operand) =>
      typeof operand === 'object' && 'buffer' in operand ? [operand.buffer] : [],
    );
    this.ops.push(
      recorded(op, { set, label: this.#label, operands, reads: touched, writes: touched, facts }),
    );
  }

  #covers(gradient: number, from: number, columns: number): boolean {
    const to = from + columns;
    const overlapping = (this.#written.get(gradient) ?? []).filter(
      (range) => range.from < to && from < range.to,
    );
    const covered = overlapping.reduce(
      (sum, range) => sum + Math.min(to, range.to) - Math.max(from, range.from),
      0,
    );
    if (covered !== 0 && covered !== columns)
      throw new Error(
        `gradient: ${this.#label}: expected a whole slice to be filled, found ${covered} of ${columns} columns`,
      );
    return covered === columns;
  }

  #mark(gradient: number, range: Range): void {
    const ranges = this.#written.get(gradient);
    if (ranges) ranges.push(range);
    else this.#written.set(gradient, [range]);
  }
}

function bufferOf(operand: Operand): BufferOperand {
  if (typeof operand === 'object' && 'buffer' in operand) return operand;
  throw new Error('gradient: expected an activation, found a constant');
}
