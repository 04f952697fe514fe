// Trains a model on any backend: owns the parameters, the plan and its memory, and runs steps. It knows
// nothing of data, schedules or files.
import { type ModelSpec, UsageError } from '@marimba/engine';
import { allOfKind } from '@marimba/engine/architecture';
import {
  type Backend,
  encodeOps,
  floatsAt,
  OPTIMIZER_STATE,
  OPTIMIZER_STATE_BYTES,
  placeBuffers,
  type RowSet,
  SUM_CHUNK,
  stateLayout,
} from '@marimba/engine/plan';
import type { TrainingBatch } from '../data/batches.ts';
import { type DecayedParameters, ParameterStore } from './parameters.ts';
import { StepData } from './step-data.ts';
import { buildTrainingPlan, type TrainingPlan } from './training-plan.ts';

export interface TrainingOptions {
  /** Tokens of one micro-batch at most: sequences × length. */
  readonly maxTokens: number;
  readonly decayed?: DecayedParameters | undefined;
  /** Weight of the load-balancing loss of routed layers (`router_aux_loss_coef`). Default 0. */
  readonly balanceLoss?: number | undefined;
  /** Micro-batches per step: the load-balancing loss is a mean over them. Default 1. */
  readonly microBatches?: number | undefined;
  /** Compute inner values again in the backward: about a third slower, far less memory. */
  readonly recompute?: boolean | undefined;
  /** A token whose embedding is not trained (Hugging Face's padding_idx), or -1. */
  readonly skipToken?: number | undefined;
}

export interface OptimizerSettings {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Gradients of a larger norm are scaled down to it; 0: never. */
  readonly maxNorm: number;
}

export interface StepReport {
  /** Mean over the targets of all micro-batches, without the load-balancing loss. */
  readonly loss: number;
  readonly balanceLoss: number;
  readonly targets: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  /** False when the gradient was not finite: nothing was changed. */
  readonly updated: boolean;
}

export class TrainingRuntime {
  readonly spec: ModelSpec;
  readonly backend: Backend;
  readonly store: ParameterStore;
  readonly plan: TrainingPlan;
  readonly activationBytes: number;
  /** Optimiser steps taken: AdamW's t. */
  updates = 0;
  readonly #options: TrainingOptions;
  readonly #data: StepData;
  readonly #losses: number;
  readonly #balanceLosses: number;
  readonly #routedLayers: number;
  readonly #meanScale: number;
  readonly #optimizerState: number;
  readonly #logits: number;
  readonly #records: readonly number[];

  static async create(spec: ModelSpec, backend: Backend, options: TrainingOptions): Promise<TrainingRuntime> {
    const runtime = new TrainingRuntime(spec, backend, options);
    await backend.install({ records: runtime.#records, headStart: runtime.#records.length });
    return runtime;
  }

  private constructor(spec: ModelSpec, backend: Backend, options: TrainingOptions) {
    this.spec = spec;
    this.backend = backend;
    this.#options = options;
    const { arena } = backend;
    const { maxTokens } = options;
    const layout = stateLayout(spec, 'f32');
    this.store = new ParameterStore(arena, spec, options.decayed);
    this.#routedLayers = allOfKind(spec.layers, 'experts').length;
    this.#losses = arena.allocate(maxTokens * 4, 'losses');
    this.#balanceLosses = arena.allocate(Math.max(1, this.#routedLayers) * maxTokens * 4, 'losses');
    this.#meanScale = arena.allocate(4, 'scale');
    this.#optimizerState = arena.allocate(OPTIMIZER_STATE_BYTES, 'optimizer');
    const partialSums = arena.allocate(Math.ceil(this.store.count / SUM_CHUNK) * 8, 'optimizer');
    this.#data = new StepData(arena, spec, layout, {
      maxTokens,
      statesPerSegment: options.recompute ? 2 : 1,
    });
    let routed = 0;
    this.plan = buildTrainingPlan({
      spec,
      layout,
      traits: backend.traits,
      store: this.store,
      recompute: options.recompute ?? false,
      partialSums,
      optimizerState: this.#optimizerState,
      context: {
        ...pick(this.store),
        maxRows: maxTokens,
        skipToken: options.skipToken ?? -1,
        balance: {
          scale: (options.balanceLoss ?? 0) / Math.max(1, this.#routedLayers) / (options.microBatches ?? 1),
          lossesOfLayer: () => this.#balanceLosses + routed++ * maxTokens * 4,
        },
        loss: { meanScale: this.#meanScale, targets: this.#data.targets, losses: this.#losses },
      },
    });
    const rows: Record<RowSet, number> = {
      rows: maxTokens,
      logitRows: maxTokens,
      slots: maxTokens * this.#data.topK,
    };
    const placement = placeBuffers(this.plan.plan, (set) => rows[set]);
    const activations = arena.allocate(placement.byteLength, 'activations');
    const scratchBytes = this.plan.plan.ops.reduce((max, op) => Math.max(max, backend.scratchBytes(op)), 0);
    this.activationBytes = placement.byteLength + scratchBytes;
    const { words, starts } = encodeOps(this.plan.plan.ops, {
      step: this.#data.address,
      stepLayout: this.#data.layout,
      activations,
      placement,
      scratchBytes,
      scratch: arena.allocate(scratchBytes + 64, 'scratch'),
    });
    const program = arena.allocate(words.byteLength, 'program');
    arena.views.u32.set(words, program >>> 2);
    this.#records = starts.map((start) => program + start * 4);
    this.#logits = activations + placement.offsets[this.plan.plan.logits.buffer]!;
  }

  /**
   * Loss and gradients of micro-batches together, as if they were one batch. Gradients are left in the store.
   */
  gradients(batches: readonly TrainingBatch[]): Promise<Omit<StepReport, 'gradientNorm' | 'updated'>> {
    return this.#pass(batches, this.plan.backward.end);
  }

  /** One update of the parameters. */
  async step(batches: readonly TrainingBatch[], settings: OptimizerSettings): Promise<StepReport> {
    this.#prepareUpdate(settings);
    const report = await this.#pass(batches, this.plan.optimizer.end);
    return { ...report, ...this.#endUpdate() };
  }

  /** AdamW with the gradients in the store. */
  async update(settings: OptimizerSettings): Promise<{ gradientNorm: number; updated: boolean }> {
    this.#prepareUpdate(settings);
    await this.backend.run(this.plan.optimizer.start, this.plan.optimizer.end);
    return this.#endUpdate();
  }

  /** Clears the gradients and adds those of all micro-batches; the last one's run continues to `end`. */
  async #pass(
    batches: readonly TrainingBatch[],
    end: number,
  ): Promise<Omit<StepReport, 'gradientNorm' | 'updated'>> {
    const targets = batches.reduce((sum, batch) => sum + countTargets(batch), 0);
    if (targets === 0) throw new UsageError('batch: expected at least one target, found none');
    const { clear, forward, backward } = this.plan;
    let loss = 0;
    let balanceLoss = 0;
    for (const [i, batch] of batches.entries()) {
      const rows = this.#data.write(batch);
      floatsAt(this.backend.arena.views, this.#meanScale, 1)[0] = 1 / targets;
      await this.backend.run(
        i === 0 ? clear.start : forward.start,
        i === batches.length - 1 ? end : backward.end,
      );
      loss += this.#sum(this.#losses, countTargets(batch));
      for (let layer = 0; layer < this.#routedLayers; layer++)
        balanceLoss += this.#sum(this.#balanceLosses + layer * this.#options.maxTokens * 4, rows);
    }
    return { loss: loss / targets, balanceLoss, targets };
  }

  #prepareUpdate({ learningRate, beta1, beta2, ...settings }: OptimizerSettings): void {
    const t = this.updates + 1;
    const state = floatsAt(this.backend.arena.views, this.#optimizerState, OPTIMIZER_STATE_BYTES / 4);
    state[OPTIMIZER_STATE.maxNorm] = settings.maxNorm;
    state[OPTIMIZER_STATE.beta1] = beta1;
    state[OPTIMIZER_STATE.beta2] = beta2;
    state[OPTIMIZER_STATE.epsilon] = settings.epsilon;
    state[OPTIMIZER_STATE.keep] = 1 - learningRate * settings.weightDecay;
    state[OPTIMIZER_STATE.rate] = learningRate / (1 - beta1 ** t);
    state[OPTIMIZER_STATE.rootCorrection] = 1 / Math.sqrt(1 - beta2 ** t);
  }

  #endUpdate(): { gradientNorm: number; updated: boolean } {
    const state = floatsAt(this.backend.arena.views, this.#optimizerState, OPTIMIZER_STATE_BYTES / 4);
    const updated = state[OPTIMIZER_STATE.scale]! >= 0;
    if (updated) this.updates++;
    return { gradientNorm: state[OPTIMIZER_STATE.norm]!, updated };
  }

  /** Sum of losses over a batch's targets, and how many there are. Changes nothing. */
  async evaluate(batch: TrainingBatch): Promise<{ lossSum: number; targets: number; losses: Float32Array }> {
    this.#data.write(batch);
    floatsAt(this.backend.arena.views, this.#meanScale, 1)[0] = 1;
    await this.backend.run(this.plan.forward.start, this.plan.loss.end);
    const targets = countTargets(batch);
    const losses = floatsAt(this.backend.arena.views, this.#losses, targets).slice();
    return { lossSum: losses.reduce((sum, v) => sum + v, 0), targets, losses };
  }

  /** Logits at the positions that have a target, in order: [targets][vocabulary]. */
  async logits(batch: TrainingBatch): Promise<Float32Array> {
    this.#data.write(batch);
    await this.backend.run(this.plan.forward.start, this.plan.forward.end);
    return floatsAt(
      this.backend.arena.views,
      this.#logits,
      countTargets(batch) * this.spec.vocabularySize,
    ).slice();
  }

  close(): Promise<void> {
    return this.backend.close();
  }

  #sum(address: number, count: number): number {
    return floatsAt(this.backend.arena.views, address, count).reduce((total, value) => total + value, 0);
  }
}

const countTargets = (batch: TrainingBatch): number =>
  batch.targets.reduce((count, target) => count + (target >= 0 ? 1 : 0), 0);

const pick = ({ weightGradient, decayGradient, negatedFrequencies }: ParameterStore) => ({
  weightGradient,
  decayGradient,
  negatedFrequencies,
});
