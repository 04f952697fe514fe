// What a study needs of training. The loop itself lives in ../train; this is the seam, so that everything
// around it can be tested with a trainer that learns nothing.
import type { ModelSpec } from '@marimba/engine';
import type { TrainingBatch } from '../data/batches.ts';
import type { ModelConfig } from './model.ts';
import type { Budget } from './study.ts';

export interface TrainingRequest {
  readonly spec: ModelSpec;
  /** The same as config.json, for what is saved. */
  readonly config: ModelConfig;
  /** Step n's batch, n from 0. Follows from n alone. */
  readonly batches: (step: number) => TrainingBatch;
  /** Largest batch that evaluate will be given, which may be longer than those trained on. */
  readonly largest: { readonly sequences: number; readonly length: number };
  readonly budget: Budget;
  /** For the first weights. */
  readonly seed: number;
  readonly onStep?: ((step: number, loss: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface BatchEvaluation {
  /** Sum of the negative log-likelihoods (nats) of the scored targets. */
  readonly loss: number;
  /** The likeliest next token at each position; -1 where the target is -1. */
  readonly predictions: Int32Array;
}

export interface TrainedCell {
  /** Of every step. */
  readonly losses: readonly number[];
  /** Before clipping. */
  readonly gradientNorms: readonly number[];
  evaluate(batch: TrainingBatch): Promise<BatchEvaluation>;
  /** Writes the model as a folder that the engine loads. */
  save?(folder: string): Promise<void>;
  close(): Promise<void>;
}

export type TrainCell = (request: TrainingRequest) => Promise<TrainedCell>;
