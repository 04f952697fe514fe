// What a rule is: see rules.ts.
import type { Operand, OpKind, OpOf } from '@marimba/engine/plan';
import type { Tape } from './tape.ts';

export type Rule<K extends OpKind> = (op: OpOf<K>, tape: Tape) => void;

/** A field that is a number or an address, known when recorded. */
export function numberOf(operand: Operand): number {
  if (typeof operand === 'number') return operand;
  throw new Error('gradient: expected a constant, found an activation');
}
