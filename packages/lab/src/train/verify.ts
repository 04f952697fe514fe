// Checks training against a golden run: first loss, the gradient's norm for every tensor, and ten AdamW
// steps, made by an independent implementation (golden-train.json: Hugging Face's forward with torch's
// autograd and optimiser).
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError, type HuggingFaceCheckpoint, type LoadModelOptions, UsageError } from '@marimba/engine';
import { readSpec } from '@marimba/engine/architecture';
import { createRandom } from '@marimba/engine/measure';
import { openCheckpointPath } from '@marimba/engine/node';
import { createBackend } from '@marimba/engine/plan';
import type { TrainingBatch } from '../data/batches.ts';
import { eachRow, loadParameters, type NamedPart } from './load-weights.ts';
import { type OptimizerSettings, TrainingRuntime } from './runtime.ts';

export interface VerifyOptions extends Pick<LoadModelOptions, 'backend' | 'threads' | 'variant'> {
  /** Optimiser steps. Default: 10, or as many as the golden run has where that is more. */
  readonly steps?: number | undefined;
  readonly recompute?: boolean | undefined;
}

export interface VerifyReport {
  /** The first loss, and the loss after each step. */
  readonly losses: number[];
  /** Of the first gradient. */
  readonly gradientNorm: number;
  /** L2 norm of each tensor's first gradient, by the checkpoint's names. */
  readonly gradients: Record<string, number>;
  /** Against golden-train.json; null where there is none. */
  readonly comparison: Comparison | null;
}

export interface Comparison {
  /** Largest relative differences. */
  readonly losses: number;
  readonly gradientNorm: number;
  readonly gradients: number;
  readonly worstTensor: string;
  /** Losses within 1e-3 and gradient norms within 1e-2. */
  readonly ok: boolean;
}

const STEPS = 10;
const LOSS_TOLERANCE = 1e-3;
const NORM_TOLERANCE = 1e-2;
/** Gradients below this share of the whole are compared with it, not with themselves: they are rounding. */
const NEGLIGIBLE = 1e-6;

interface Golden {
  readonly tokens: readonly (readonly number[])[];
  readonly optimizer: OptimizerSettings;
  readonly losses: readonly number[] | null;
  readonly gradientNorm: number | null;
  readonly gradients: Readonly<Record<string, number>> | null;
}

export async function verifyTraining(folder: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  const checkpoint = await openCheckpointPath(folder);
  try {
    if (checkpoint.kind !== 'huggingface')
      throw new UsageError(
        `${folder}: expected a Hugging Face folder (config.json and model.safetensors), found a GGUF file`,
      );
    const { family, spec } = readSpec(checkpoint);
    const golden = readGolden(folder, spec.vocabularySize);
    const batch = asBatch(golden.tokens);
    const backend = await createBackend(options);
    const runtime = await TrainingRuntime.create(spec, backend, {
      maxTokens: batch.tokens.length,
      decayed: 'all',
      recompute: options.recompute ?? false,
      skipToken: paddingToken(checkpoint, family.name),
    });
    try {
      const parts = await loadParameters(checkpoint, family, spec, runtime.store);
      return await measure(
        runtime,
        parts,
        batch,
        golden,
        options.steps ?? Math.max(STEPS, (golden.losses?.length ?? 0) - 1),
      );
    } finally {
      await runtime.close();
    }
  } finally {
    await checkpoint.close();
  }
}

async function measure(
  runtime: TrainingRuntime,
  parts: readonly NamedPart[],
  batch: TrainingBatch,
  golden: Golden,
  steps: number,
): Promise<VerifyReport> {
  const first = await runtime.gradients([batch]);
  const gradients = gradientNorms(runtime, parts);
  const losses = [first.loss];
  const { gradientNorm } = await runtime.update(golden.optimizer);
  for (let step = 1; step < steps; step++) losses.push((await runtime.step([batch], golden.optimizer)).loss);
  const last = await runtime.evaluate(batch);
  losses.push(last.lossSum / last.targets);
  const report = { losses, gradientNorm, gradients };
  return { ...report, comparison: golden.losses ? compare(report, golden) : null };
}

function gradientNorms(runtime: TrainingRuntime, parts: readonly NamedPart[]): Record<string, number> {
  const squares = new Map<string, number>();
  for (const part of parts) {
    const values = runtime.store.read(part.parameter, 'gradients');
    let sum = squares.get(part.name) ?? 0;
    // A weight that is read with a factor passes it on to the gradient of the file's value.
    eachRow(part, (from, to, { scale }) => {
      for (let i = from; i < to; i++) sum += (values[i]! * scale) ** 2;
    });
    squares.set(part.name, sum);
  }
  return Object.fromEntries([...squares].map(([name, sum]) => [name, Math.sqrt(sum)]));
}

const relative = (found: number, expected: number, floor = 0): number =>
  Math.abs(found - expected) / Math.max(Math.abs(expected), floor);

function compare(report: Omit<VerifyReport, 'comparison'>, golden: Golden): Comparison {
  const expected = golden.losses ?? [];
  const losses = Math.max(
    0,
    ...report.losses.map((loss, i) => (i < expected.length ? relative(loss, expected[i]!) : 0)),
  );
  const total = golden.gradientNorm ?? report.gradientNorm;
  const gradientNorm = relative(report.gradientNorm, total);
  const tensors = Object.entries(golden.gradients ?? {}).map(([name, norm]) => {
    const difference = relative(report.gradients[name] ?? Number.NaN, norm, total * NEGLIGIBLE);
    return { name, difference: Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference };
  });
  const worst = tensors.reduce((a, b) => (b.difference > a.difference ? b : a), { name: '', difference: 0 });
  const ok = losses <= LOSS_TOLERANCE && gradientNorm <= NORM_TOLERANCE && worst.difference <= NORM_TOLERANCE;
  return { losses, gradientNorm, gradients: worst.difference, worstTensor: worst.name, ok };
}

/** Sequences as segments of one row; every token but a sequence's last predicts the next. */
function asBatch(sequences: readonly (readonly number[])[]): TrainingBatch {
  const tokens = Uint32Array.from(sequences.flat());
  const targets = Int32Array.from(sequences.flatMap((list) => [...list.slice(1), -1]));
  let at = 0;
  const documentStarts = Uint32Array.from(sequences, (list) => (at += list.length) - list.length);
  return { sequences: 1, length: tokens.length, tokens, targets, documentStarts };
}

/**
 * Jamba's and Llama's embeddings have a padding row that gets no gradient (torch's padding_idx), Mamba's do
 * not. Jamba's configuration has token 0 for it unless it says otherwise.
 */
function paddingToken({ config }: HuggingFaceCheckpoint, family: string): number {
  if (family !== 'jamba' && family !== 'llama') return -1;
  const token = config.pad_token_id === undefined && family === 'jamba' ? 0 : config.pad_token_id;
  return typeof token === 'number' ? token : -1;
}

function readGolden(folder: string, vocabularySize: number): Golden {
  const path = join(folder, 'golden-train.json');
  if (!existsSync(path))
    return {
      tokens: someTokens(vocabularySize),
      optimizer: DEFAULTS,
      losses: null,
      gradientNorm: null,
      gradients: null,
    };
  const { tokens, losses, grad_norm, gradients, optimizer } = readObject(path);
  const isList = (value: unknown): value is number[] =>
    Array.isArray(value) && value.every((v) => typeof v === 'number');
  if (!Array.isArray(tokens) || tokens.length === 0 || !tokens.every((row) => isList(row) && row.length > 1))
    throw new FormatError(`${path}: tokens: expected lists of at least 2 token ids, found something else`);
  const foreign = tokens.flat().find((t) => !Number.isInteger(t) || t < 0 || t >= vocabularySize);
  if (foreign !== undefined)
    throw new FormatError(
      `${path}: tokens: expected ids from 0 to ${vocabularySize - 1}, which the model has, found ${foreign}`,
    );
  const norms = Object.entries((gradients ?? {}) as Record<string, { l2?: unknown }>).map(
    ([name, g]) => [name, Number(g.l2)] as const,
  );
  return {
    tokens,
    optimizer: readOptimizer(optimizer),
    losses: isList(losses) ? losses : null,
    gradientNorm: typeof grad_norm === 'number' ? grad_norm : null,
    gradients: norms.length ? Object.fromEntries(norms) : null,
  };
}

function readObject(path: string): Record<string, unknown> {
  const fail = (found: string): never => {
    throw new FormatError(
      `${path}: expected a golden run as a JSON object, found ${found}. Restore the file, or delete it to check without a comparison.`,
    );
  };
  try {
    const json: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return typeof json === 'object' && json !== null
      ? (json as Record<string, unknown>)
      : fail(JSON.stringify(json));
  } catch (error) {
    if (error instanceof FormatError) throw error;
    return fail(error instanceof Error ? error.message : String(error));
  }
}

const DEFAULTS: OptimizerSettings = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  maxNorm: 0,
};

function readOptimizer(value: unknown): OptimizerSettings {
  const o = (value ?? {}) as Record<string, unknown>;
  const betas = Array.isArray(o.betas) ? o.betas : [];
  const number = (field: unknown, fallback: number) => (typeof field === 'number' ? field : fallback);
  return {
    learningRate: number(o.lr, DEFAULTS.learningRate),
    beta1: number(betas[0], DEFAULTS.beta1),
    beta2: number(betas[1], DEFAULTS.beta2),
    epsilon: number(o.eps, DEFAULTS.epsilon),
    weightDecay: number(o.weight_decay, DEFAULTS.weightDecay),
    maxNorm: 0,
  };
}

function someTokens(vocabularySize: number): number[][] {
  const random = createRandom(1);
  return Array.from({ length: 3 }, () =>
    Array.from({ length: 40 }, () => Math.floor(random() * vocabularySize)),
  );
}
