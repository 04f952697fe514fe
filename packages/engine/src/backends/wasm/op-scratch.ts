// The scratch memory that an op of a plan needs from this backend.
import { PACKED_BASE } from '../../plan/layouts.ts';
import type { Operand, RecordedOp } from '../../plan/plan.ts';
import { packedScratchBytes } from './kernels/layouts/codes.ts';
import { attentionScratchBytes, rawLinearScratchBytes, scanScratchBytes } from './scratch.ts';

/** Bytes for all threads; 0 for ops without a scratch field. */
export function opScratchBytes({ kind, fields }: RecordedOp, threads: number): number {
  const field = (name: string) => Number((fields as Record<string, Operand>)[name]);
  if (kind === 'attention')
    return attentionScratchBytes(
      { heads: field('heads'), kvHeads: field('kvHeads'), headSize: field('headSize') },
      threads,
    );
  if (kind === 'selectiveScan') return scanScratchBytes(field('states')) * threads;
  if (kind !== 'linear' && kind !== 'expertLinear') return 0;
  const columns = field('columns');
  return field('layout') >= PACKED_BASE
    ? packedScratchBytes(columns, threads)
    : rawLinearScratchBytes(columns) * threads;
}
