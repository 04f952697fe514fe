// What a rule is: see rules.ts.
import type { OpKind } from '@marimba/engine/internal/plan/ops';
import type { Operand, RecordedOp } from '@marimba/engine/internal/plan/plan';
import type { Tape } from './tape.ts';

export type Rule<K extends OpKind> = (op: RecordedOp<K>, tape: Tape) => void;

/** A field that is a number or an address, known when recorded. */
export function numberOf(operand: Operand): number {
  if (typeof operand === 'number') return operand;
  throw new Error('gradient: expected a constant, found an activation');
}
