// What a rule is: see rules.ts.
import type { Operand, OpKind, OpOf } from '@marimba/engine/plan';
import type { Tape } from './tape.ts';

export type Rule<K extends OpKind> = (op: OpOf<K>, tape: Tape) => void;

/** A field that is a number or an address, known when recorded. */
export function numberOf(operand: Operand): number {
  if (typeof operand === 'number') return operand;
  throw new Error('gradient: expected a constant, found an activation');
}

/** Whether two operands are one value, whose gradient is then the sum of theirs. */
export const samePlace = (a: Operand, b: Operand): boolean =>
  typeof a === 'object' &&
  typeof b === 'object' &&
  'buffer' in a &&
  'buffer' in b &&
  a.buffer === b.buffer &&
  a.byteOffset === b.byteOffset;
