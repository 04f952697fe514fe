// The profile of a plan: measured time for each op beside what the plan says that it costs, ops of the same work in the
// same kind of layer taken together. For measurements only.
import type { OpTimes } from '../backends/backend.ts';
import type { OpKind } from '../plan/ops.ts';
import type { Plan, RecordedOp } from '../plan/plan.ts';
import { costOfOp, type Pass } from './cost.ts';

export interface OpProfile {
  readonly kind: OpKind;
  /** "mamba", "attention", "dense", "experts", "embedding" or "head". */
  readonly layer: string;
  /** Outputs × columns of a matrix product; null for other ops. */
  readonly shape: string | null;
  /** Ops of the plan in this line. */
  readonly ops: number;
  readonly elapsedMs: number;
  /** Of the time of all ops. */
  readonly share: number;
  readonly gigabytesPerSecond: number;
  readonly gigamacsPerSecond: number;
  /** Millions a second; 0 for ops without any. */
  readonly megaExponentialsPerSecond: number;
}

/** Lines by time, longest first. `passes` are those that ran while `times` was recorded. */
export function profileOf(plan: Plan, times: OpTimes, passes: readonly Pass[]): OpProfile[] {
  const groups = new Map<
    string,
    { op: RecordedOp; ops: number; ms: number; bytes: number; macs: number; exponentials: number }
  >();
  plan.ops.forEach((op, index) => {
    const key = `${layerKind(op)} ${op.kind} ${shapeOf(op) ?? ''}`;
    const group = groups.get(key) ?? { op, ops: 0, ms: 0, bytes: 0, macs: 0, exponentials: 0 };
    const cost = costOfOp(op, index >= plan.headStart, passes);
    group.ops++;
    group.ms += times[index]!;
    group.bytes += cost.bytes;
    group.macs += cost.macs;
    group.exponentials += cost.exponentials;
    groups.set(key, group);
  });
  const total = times.reduce((sum, ms) => sum + ms, 0);
  return [...groups.values()]
    .sort((x, y) => y.ms - x.ms)
    .map(({ op, ops, ms, bytes, macs, exponentials }) => {
      const perSecond = (count: number) => (ms > 0 ? count / (ms / 1000) : 0);
      return {
        kind: op.kind,
        layer: layerKind(op),
        shape: shapeOf(op),
        ops,
        elapsedMs: ms,
        share: total > 0 ? ms / total : 0,
        gigabytesPerSecond: perSecond(bytes) / 1e9,
        gigamacsPerSecond: perSecond(macs) / 1e9,
        megaExponentialsPerSecond: perSecond(exponentials) / 1e6,
      };
    });
}

/** "layer 3 mamba" → "mamba" */
const layerKind = (op: RecordedOp): string => op.label.replace(/^layer \d+ /, '');

function shapeOf({ fields }: RecordedOp): string | null {
  const { outputs, columns } = fields as Record<string, unknown>;
  return typeof outputs === 'number' ? `${outputs}×${columns}` : null;
}
