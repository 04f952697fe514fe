// Byte offsets of the fields of each op record, for the kernels that do not read them through op-records.ts yet.
import { HEADER_WORDS, OP_KINDS, opOf } from '../../../../plan/ops.ts';

const constant = (text: string): string => text.replace(/([A-Z])/g, '_$1').toUpperCase();

export function opLayoutSource(): string {
  const lines = ['// Generated from plan/ops.ts by build/op-layout.ts.'];
  for (const kind of OP_KINDS)
    Object.keys(opOf(kind).fields).forEach((name, i) =>
      lines.push(`@inline export const ${constant(kind)}_${constant(name)}: usize = ${(HEADER_WORDS + i) * 4};`),
    );
  return `${lines.join('\n')}\n`;
}
