// Places a plan in its arenas: gives every buffer an address, reusing memory of buffers whose last reader has
// run, and writes the op records.
import { encodeRecord, wordsOf } from './ops.ts';
import type { Operand, Plan, RecordedOp, RowSet } from './plan.ts';
import type { StepLayout } from './step.ts';

export interface BufferPlacement {
  /** Byte offset of each buffer of the arena from the start of the activation area; 0 for others. */
  readonly offsets: readonly number[];
  readonly byteLength: number;
}

const ALIGNMENT = 64;
const align = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/**
 * Offsets in an arena such that buffers that are alive at the same time do not overlap. A buffer lives from its
 * first writer to its last reader; what the head reads lives to the end, since the head may be replayed; `kept`
 * buffers are alive all the time. Largest first, lowest free gap.
 */
export function placeBuffers(
  plan: Plan,
  rowsOf: (set: RowSet) => number,
  kept: ReadonlySet<number> = new Set(),
  arena = 0,
): BufferPlacement {
  const lives = plan.buffers.map((buffer, id) => ({
    id,
    size: buffer.arena === arena ? align(buffer.byteLength(rowsOf(buffer.set))) : 0,
    first: Number.POSITIVE_INFINITY,
    last: -1,
    offset: 0,
  }));
  const use = (id: number, op: number) => {
    const life = lives[id]!;
    life.first = Math.min(life.first, op);
    life.last = Math.max(life.last, op);
  };
  plan.ops.forEach((op, i) => {
    for (const id of [...op.reads, ...op.writes]) use(id, i);
  });
  for (const { start, from, to } of plan.crossings) for (const { buffer } of [from, to]) use(buffer, start);
  for (const life of lives)
    if (kept.has(life.id)) [life.first, life.last] = [0, plan.ops.length];
    else if (life.first < plan.headStart && life.last >= plan.headStart) life.last = plan.ops.length;
  const placed: typeof lives = [];
  for (const life of lives
    .filter(({ size }) => size > 0)
    .sort((x, y) => y.size - x.size || x.first - y.first)) {
    const neighbours = placed
      .filter((p) => p.first <= life.last && life.first <= p.last)
      .sort((x, y) => x.offset - y.offset);
    for (const other of neighbours) {
      if (life.offset + life.size <= other.offset) break;
      life.offset = Math.max(life.offset, other.offset + other.size);
    }
    placed.push(life);
  }
  const byteLength = lives.reduce((end, life) => Math.max(end, life.offset + life.size), 0);
  return { offsets: lives.map((life) => life.offset), byteLength };
}

export interface Addresses {
  readonly step: number;
  readonly stepLayout: StepLayout;
  readonly activations: number;
  readonly placement: BufferPlacement;
  readonly scratch: number;
  readonly scratchBytes: number;
}

function resolve(operand: Operand, where: Addresses): number {
  if (typeof operand === 'number') return operand;
  if ('buffer' in operand)
    return where.activations + where.placement.offsets[operand.buffer]! + operand.byteOffset;
  if ('scratch' in operand) return where.scratch;
  return where.step + where.stepLayout[operand.step === 'segments' ? 'segments' : operand.step];
}

/** The records of ops as words, and the word at which each starts. */
export function encodeOps(
  ops: readonly RecordedOp[],
  where: Addresses,
): { words: Uint32Array; starts: number[] } {
  const starts: number[] = [];
  const words = new Uint32Array(ops.reduce((sum, op) => sum + wordsOf(op.definition), 0));
  let end = 0;
  for (const op of ops) {
    starts.push(end);
    const fields: Record<string, number> = {};
    for (const [name, operand] of Object.entries(op.fields))
      fields[name] = resolve(operand as Operand, where);
    if ('scratchBytes' in fields) fields.scratchBytes = where.scratchBytes;
    end += encodeRecord(op.definition, fields, words, end);
  }
  return { words, starts };
}
