// The op contract: every operation a plan may hold, and the layout of its record in the arena. A record is a row of
// u32 words: word 0 the kind, word 1 the counter of claimed chunks (zero when a run starts), then one word per field. Both
// backends read the same records, so a kernel is a function of (record address, thread, thread count) and nothing else.
// The classes through which kernels read them, `kernels/op-records.ts`, are generated from here.
//
// Conventions, for all ops:
// - Addresses are byte offsets into the arena; 0 means "absent". Strides count f32 elements. Floats are f32 bits.
// - `rows` is the ADDRESS of a u32: how many rows are live in this step (0 is legal: do nothing).
// - Activations are f32, row-major, [rows][stride]; a slice of columns is an address with the parent's stride.
// - A step's rows belong to segments (one per session): see step.ts. State ops walk segments; the rest ignore them.
// - An op may be run by several threads at once, which share its work by rows or columns; ops run in order, each
//   seeing all that earlier ops wrote.
import * as attention from './ops/attention.ts';
import * as delta from './ops/delta.ts';
import * as dense from './ops/dense.ts';
import * as encoder from './ops/encoder.ts';
import * as experts from './ops/experts.ts';
import * as mamba from './ops/mamba.ts';
import type { Op } from './ops/op.ts';
import * as training from './ops/training.ts';
import type { RecordedOp } from './recorded.ts';

type OpsOf<Module> = Extract<Module[keyof Module], Op>;
type AnyOp =
  | OpsOf<typeof dense>
  | OpsOf<typeof mamba>
  | OpsOf<typeof attention>
  | OpsOf<typeof delta>
  | OpsOf<typeof experts>
  | OpsOf<typeof training>
  | OpsOf<typeof encoder>;

export type OpKind = AnyOp['kind'];
type FieldOf<K extends OpKind> = keyof Extract<AnyOp, { kind: K }>['fields'] & string;
/** A record's fields as kernels see them. */
export type OpFields<K extends OpKind> = Record<FieldOf<K>, number>;
/** An op of a known kind, as recorded. */
export type OpOf<K extends OpKind> = RecordedOp<K, FieldOf<K>>;

const isOp = (value: unknown): value is Op =>
  typeof value === 'object' && value !== null && 'fields' in value;

/** By number. */
const OPS: Op[] = [dense, mamba, delta, attention, experts, training, encoder].flatMap((family) =>
  Object.values(family).filter(isOp),
);
const numbers = new Map(OPS.map((op, number) => [op.kind, number]));

/** In the order of their numbers. */
export const OP_KINDS = OPS.map((op) => op.kind) as OpKind[];
export const HEADER_WORDS = 2;

/**
 * Makes an op of one's own known. The reference backend runs it, given a kernel; there is none in
 * WebAssembly.
 */
export function registerOp(op: Op): void {
  if (numbers.has(op.kind)) throw new Error(`plan: op ${op.kind} is defined already`);
  numbers.set(op.kind, OPS.push(op) - 1);
}

export const opOf = (kind: OpKind): Op => OPS[numbers.get(kind)!]!;
export const wordsOf = ({ fields }: Op): number => HEADER_WORDS + Object.keys(fields).length;

const floatBits = new Float32Array(1);
const wordBits = new Uint32Array(floatBits.buffer);

/** Writes one record; returns the number of words. */
export const encodeOp = <K extends OpKind>(
  kind: K,
  fields: OpFields<K>,
  words: Uint32Array,
  at: number,
): number => encodeRecord(opOf(kind), fields, words, at);

/** The same for any op. */
export function encodeRecord(
  op: Op,
  fields: Readonly<Record<string, number>>,
  words: Uint32Array,
  at: number,
): number {
  words[at] = numbers.get(op.kind)!;
  words[at + 1] = 0;
  let word = at + HEADER_WORDS;
  for (const [name, type] of Object.entries(op.fields)) {
    const value = fields[name]!;
    if (type === 'f32') {
      floatBits[0] = value;
      words[word++] = wordBits[0]!;
    } else {
      words[word++] = value;
    }
  }
  return word - at;
}

export function decodeOp(words: Uint32Array, at: number): { kind: string; fields: Record<string, number> } {
  const op = OPS[words[at]!]!;
  const fields: Record<string, number> = {};
  let word = at + HEADER_WORDS;
  for (const [name, type] of Object.entries(op.fields)) {
    const value = words[word++]!;
    if (type === 'f32') {
      wordBits[0] = value;
      fields[name] = floatBits[0]!;
    } else {
      fields[name] = value;
    }
  }
  return { kind: op.kind, fields };
}
