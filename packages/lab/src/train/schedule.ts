// Learning rates by step: linear warm-up, then cosine (Loshchilov & Hutter 2017), warm-up–stable–decay (Hu et
// al. 2024, "MiniCPM"), or constant.
export interface Schedule {
  readonly kind: 'cosine' | 'wsd' | 'constant';
  readonly peak: number;
  /** Where it ends, as a share of the peak. */
  readonly floor: number;
  readonly steps: number;
  readonly warmupSteps: number;
  /** Of `wsd`: the share of steps at the end in which the rate falls. */
  readonly decayShare: number;
}

/** The rate of step 0, 1, … */
export function learningRateAt(schedule: Schedule, step: number): number {
  const { kind, peak, floor, steps, warmupSteps } = schedule;
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  if (kind === 'constant') return peak;
  const start =
    kind === 'cosine' ? warmupSteps : Math.max(warmupSteps, Math.floor(steps * (1 - schedule.decayShare)));
  if (step < start) return peak;
  const progress = Math.min(1, (step - start) / Math.max(1, steps - start));
  const share = kind === 'cosine' ? 0.5 * (1 + Math.cos(Math.PI * progress)) : 1 - progress;
  return peak * (floor + (1 - floor) * share);
}
