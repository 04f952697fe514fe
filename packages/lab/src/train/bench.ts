// How fast training is on this machine, where the time goes, and how near the matrix products are to the
// machine's f32 multiply-add peak, measured by a loop of nothing else on the same threads in the same run.
import type { LoadModelOptions } from '@marimba/engine';
import type { JsonObject } from '@marimba/engine/formats';
import { createRandom, measurePeaks } from '@marimba/engine/measure';
import { createBackend } from '@marimba/engine/plan';
import type { TrainingBatch } from '../data/batches.ts';
import { initialise } from './initialise.ts';
import { specOfConfig } from './model-config.ts';
import { TrainingRuntime } from './runtime.ts';

export interface TrainingBenchOptions extends Pick<LoadModelOptions, 'threads' | 'variant'> {
  readonly steps?: number | undefined;
  readonly sequences?: number | undefined;
  readonly length?: number | undefined;
}

export interface TrainingBench {
  readonly name: string;
  readonly parameters: number;
  readonly tokensPerSecond: number;
  /**
   * Multiply-adds of the linear layers, forward and backward, as operations per second over the whole step.
   */
  readonly gigaflops: number;
  /** The linear layers' operations over their own time, and as a share of the peak. */
  readonly linearGigaflops: number;
  readonly linearShareOfPeak: number;
  readonly peakGigaflops: number;
  readonly scanShareOfTime: number;
  readonly activationBytes: number;
  /** Milliseconds per step by kind of op, largest first. */
  readonly profile: readonly {
    readonly kind: string;
    readonly ms: number;
    readonly share: number;
    readonly gigaflops: number;
  }[];
}

const SIZES = {
  vocab_size: 4096,
  hidden_size: 256,
  num_hidden_layers: 8,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  tie_word_embeddings: true,
  max_position_embeddings: 4096,
};

/** Both near 7 million parameters: a Jamba with one attention layer in eight, and a transformer. */
export const BENCH_MODELS: Readonly<Record<string, JsonObject>> = {
  'jamba 1:8': {
    ...SIZES,
    model_type: 'jamba',
    intermediate_size: 448,
    attn_layer_period: 8,
    attn_layer_offset: 4,
    expert_layer_period: 1,
    expert_layer_offset: 0,
    num_experts: 1,
    num_experts_per_tok: 1,
    mamba_d_state: 16,
    mamba_d_conv: 4,
    mamba_expand: 2,
    mamba_dt_rank: 16,
  },
  transformer: { ...SIZES, model_type: 'llama', intermediate_size: 720 },
};

const LINEAR = new Set([
  'linear',
  'linearBackwardInput',
  'linearBackwardWeight',
  'expertLinear',
  'expertLinearBackwardInput',
  'expertLinearBackwardWeight',
]);
const SCAN = new Set(['selectiveScan', 'selectiveScanBackward', 'scanReduce']);

export async function benchTraining(
  name: string,
  config: JsonObject,
  options: TrainingBenchOptions = {},
): Promise<TrainingBench> {
  const { sequences = 8, length = 256, steps = 5 } = options;
  const { spec } = specOfConfig(name, config);
  const backend = await createBackend(options);
  const runtime = await TrainingRuntime.create(spec, backend, { maxTokens: sequences * length });
  const peak = () => measurePeaks({ threads: backend.threads, variant: options.variant });
  try {
    const before = await peak();
    initialise(runtime.store, spec, 1);
    const batch = randomBatch(spec.vocabularySize, sequences, length);
    const settings = {
      learningRate: 1e-3,
      beta1: 0.9,
      beta2: 0.95,
      epsilon: 1e-8,
      weightDecay: 0.1,
      maxNorm: 1,
    };
    // The first steps run in the engine's slow tier while it compiles.
    for (let i = 0; i < 2; i++) await runtime.step([batch], settings);
    backend.profile(true);
    const began = performance.now();
    for (let i = 0; i < steps; i++) await runtime.step([batch], settings);
    const ms = (performance.now() - began) / steps;
    const times = backend.profile(false);
    // The machine may have other work: the better of two moments.
    const peakGigaflops = (2 * Math.max(before.floats, (await peak()).floats)) / 1e9;
    const { ops } = runtime.plan.plan;
    const rows = sequences * length;
    const kinds = new Map<string, { ms: number; macs: number }>();
    ops.forEach((op, i) => {
      const kind = kinds.get(op.kind) ?? { ms: 0, macs: 0 };
      kind.ms += (times?.[i] ?? 0) / steps;
      kind.macs += op.cost.macsPerRow * rows;
      kinds.set(op.kind, kind);
    });
    const total = (members: ReadonlySet<string>, field: 'ms' | 'macs') =>
      [...kinds].reduce((sum, [kind, value]) => sum + (members.has(kind) ? value[field] : 0), 0);
    const linearGigaflops = (2 * total(LINEAR, 'macs')) / total(LINEAR, 'ms') / 1e6;
    const profile = [...kinds]
      .map(([kind, value]) => ({
        kind,
        ms: value.ms,
        share: value.ms / ms,
        gigaflops: value.ms ? (2 * value.macs) / value.ms / 1e6 : 0,
      }))
      .sort((a, b) => b.ms - a.ms);
    return {
      name,
      parameters: runtime.store.parameterCount,
      tokensPerSecond: (rows / ms) * 1000,
      gigaflops: (2 * total(LINEAR, 'macs')) / ms / 1e6,
      linearGigaflops,
      linearShareOfPeak: linearGigaflops / peakGigaflops,
      peakGigaflops,
      scanShareOfTime: total(SCAN, 'ms') / ms,
      activationBytes: runtime.activationBytes,
      profile,
    };
  } finally {
    await runtime.close();
  }
}

function randomBatch(vocabulary: number, sequences: number, length: number): TrainingBatch {
  const random = createRandom(1);
  const tokens = Uint32Array.from({ length: sequences * length }, () => Math.floor(random() * vocabulary));
  const targets = Int32Array.from(tokens, (_, i) => tokens[(i + 1) % tokens.length]!);
  return {
    sequences,
    length,
    tokens,
    targets,
    documentStarts: Uint32Array.from({ length: sequences }, (_, i) => i * length),
  };
}
