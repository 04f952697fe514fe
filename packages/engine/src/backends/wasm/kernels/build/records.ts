// Writes the classes through which kernels read op records: one `@unmanaged class` per op of plan/ops.ts, its fields
// in the order of the record's words. A kernel is handed a record's address as an instance: `op.columns` is one load.
import { OP_KINDS, type OpKind, opOf } from '../../../../plan/ops.ts';

const HEADER = `// Generated from plan/ops.ts by build/records.ts.

/** What every record begins with; see the header of plan/ops.ts. */
@unmanaged export class Op {
  kind: i32;
  /** Chunks claimed so far; the driver zeroes it before each run. */
  claimed: u32;
}

/** A record whose first field is the address of the number of live rows. */
@unmanaged export class RowsOp extends Op {
  rows: usize;
}
`;

/** The class of an op: `rmsNorm` is `RmsNorm`. */
const classOf = (kind: OpKind): string => kind[0]!.toUpperCase() + kind.slice(1);

function record(kind: OpKind): string {
  const fields = Object.entries(opOf(kind).fields);
  const hasRows = fields[0]![0] === 'rows';
  const lines = fields.slice(hasRows ? 1 : 0).map(([name, type]) => `  ${name}: ${type};`);
  return [`@unmanaged export class ${classOf(kind)} extends ${hasRows ? 'RowsOp' : 'Op'} {`, ...lines, '}', ''].join(
    '\n',
  );
}

export const recordsSource = (): string => [HEADER, ...OP_KINDS.map(record)].join('\n');
