// The profile of a plan: measured time and planned cost per op, summed over ops of the same kind and size in
// the same kind of layer. For measurements only.
import type { OpTimes } from '../backends/backend.ts';
import type { Plan, RecordedOp } from '../plan/plan.ts';
import { type Cost, costOfOp, type Limits, leastSeconds, type Pass, sumOfCosts } from './cost.ts';

export interface OpProfile {
  readonly kind: string;
  /** "mamba", "attention", "dense", "experts", "embedding" or "head". */
  readonly layer: string;
  /** Outputs × columns of a matrix product; null for other ops. */
  readonly shape: string | null;
  /** Ops of the plan in this line. */
  readonly ops: number;
  readonly elapsedMs: number;
  /** Time at the machine's limits, each op by itself. */
  readonly leastMs: number;
  /** Of the time of all ops. */
  readonly share: number;
  readonly gigabytesPerSecond: number;
  readonly gigamacsPerSecond: number;
  /** Millions per second; 0 for ops without any. */
  readonly megaExponentialsPerSecond: number;
}

/** Lines by time, longest first. `passes` are those that ran while `times` was recorded. */
export function profileOf(plan: Plan, times: OpTimes, passes: readonly Pass[], limits: Limits): OpProfile[] {
  const groups = new Map<string, { op: RecordedOp; ms: number; leastMs: number; costs: Cost[] }>();
  plan.ops.forEach((op, index) => {
    const key = `${layerKind(op)} ${op.kind} ${shapeOf(op) ?? ''}`;
    const group = groups.get(key) ?? { op, ms: 0, leastMs: 0, costs: [] };
    const cost = costOfOp(op, index >= plan.headStart, passes);
    group.ms += times[index]!;
    group.leastMs += leastSeconds(cost, limits) * 1000;
    group.costs.push(cost);
    groups.set(key, group);
  });
  const total = times.reduce((sum, ms) => sum + ms, 0);
  return [...groups.values()]
    .sort((x, y) => y.ms - x.ms)
    .map(({ op, ms, leastMs, costs }) => {
      const { bytes, macs, exponentials } = sumOfCosts(costs);
      const perSecond = (count: number) => (ms > 0 ? count / (ms / 1000) : 0);
      return {
        kind: op.kind,
        layer: layerKind(op),
        shape: shapeOf(op),
        ops: costs.length,
        elapsedMs: ms,
        leastMs,
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
