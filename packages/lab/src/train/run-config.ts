// A training run as a file: `export default { … }` in TypeScript or the same as JSON, checked field by field.
// Paths are relative to the file. Everything but the model and the texts has a default.
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { UsageError } from '@marimba/engine';
import type { JsonObject } from '@marimba/engine/formats';
import { readSettings } from '../settings-file.ts';

export interface RunConfig {
  /**
   * The content of a config.json: model_type jamba, mamba, llama or marimba (any mix of layers), and its
   * sizes.
   */
  readonly model: JsonObject;
  /** A Hugging Face folder to start from instead of fresh weights. */
  readonly initial: string | null;
  /** Files and folders of text or JSONL. */
  readonly texts: readonly string[];
  /** tokenizer.json, or null: one is trained on the texts, with the model's vocab_size. */
  readonly tokenizer: string | null;
  /** Files and folders that are never trained on; empty: a share of `texts` is set aside. */
  readonly heldOutTexts: readonly string[];
  /** That share, by tokens. */
  readonly heldOut: number;
  readonly heldOutTokens: number;
  readonly output: string;
  readonly sequences: number;
  readonly length: number;
  readonly accumulate: number;
  readonly steps: number;
  readonly seed: number;
  readonly schedule: 'cosine' | 'wsd' | 'constant';
  readonly learningRate: number;
  readonly floor: number;
  readonly warmupSteps: number;
  readonly decayShare: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
  readonly evaluateEvery: number;
  readonly checkpointEvery: number;
  readonly recompute: boolean;
  /** Weight of the load-balancing loss; default: the model's router_aux_loss_coef. */
  readonly balanceLoss: number;
}

/** A setting of a run: its default, what it may be, and what it does, as docs/training.md lists it. */
interface Setting {
  readonly fallback: RunConfig[keyof RunConfig];
  /** Bounds of a number; `whole` ones are whole. */
  readonly range?: readonly [low: number, high: number];
  readonly whole?: true;
  readonly meaning: string;
}

export const RUN_SETTINGS: Readonly<Record<Exclude<keyof RunConfig, 'model' | 'texts'>, Setting>> = {
  output: { fallback: 'run', meaning: 'folder for checkpoints, the log and the trained model' },
  tokenizer: {
    fallback: null,
    meaning: "a tokenizer.json; null: one of the model's `vocab_size` is trained on the texts",
  },
  initial: { fallback: null, meaning: 'Hugging Face folder to start from; null: fresh weights' },
  heldOutTexts: {
    fallback: [],
    meaning: 'files and folders to test on, never trained on; empty: a share of `texts`',
  },
  heldOut: {
    fallback: 0.05,
    range: [0.0001, 0.9],
    meaning: 'that share, by tokens: whole documents, or the end of a single one',
  },
  heldOutTokens: {
    fallback: 65_536,
    range: [1, 2 ** 31],
    whole: true,
    meaning: 'test on at most this many tokens',
  },
  steps: { fallback: 1000, range: [1, 1e9], whole: true, meaning: 'optimiser steps' },
  sequences: { fallback: 8, range: [1, 65_536], whole: true, meaning: 'sequences per batch' },
  length: { fallback: 256, range: [1, 1_048_576], whole: true, meaning: 'tokens per sequence' },
  accumulate: { fallback: 1, range: [1, 65_536], whole: true, meaning: 'batches per optimiser step' },
  seed: {
    fallback: 0,
    range: [0, 2 ** 32],
    whole: true,
    meaning: 'of the first weights and the order of the data',
  },
  learningRate: { fallback: 1e-3, range: [0, 10], meaning: 'at its peak' },
  schedule: {
    fallback: 'cosine',
    meaning: '`cosine`, `wsd` (constant, then a linear decay) or `constant`, each after a linear warm-up',
  },
  warmupSteps: {
    fallback: 50,
    range: [0, 1e9],
    whole: true,
    meaning: 'steps over which the learning rate rises',
  },
  decayShare: { fallback: 0.2, range: [0, 1], meaning: 'share of the steps that `wsd` decays over' },
  floor: { fallback: 0.1, range: [0, 1], meaning: 'learning rate at the end, as a share of the peak' },
  beta1: { fallback: 0.9, range: [0, 0.9999999], meaning: 'AdamW: decay of the mean gradient' },
  beta2: { fallback: 0.95, range: [0, 0.9999999], meaning: 'AdamW: decay of the mean squared gradient' },
  epsilon: { fallback: 1e-8, range: [1e-20, 1], meaning: 'AdamW: added to the denominator' },
  weightDecay: { fallback: 0.1, range: [0, 10], meaning: 'AdamW: decay of matrices' },
  clipNorm: { fallback: 1, range: [0, 1e9], meaning: 'largest norm of the gradient; 0: no limit' },
  balanceLoss: {
    fallback: 0,
    range: [0, 10],
    meaning:
      "weight of the experts' load-balancing loss; default: the model's `router_aux_loss_coef`, else 0",
  },
  recompute: {
    fallback: false,
    meaning: 'compute inner values again in the backward pass: less memory, more time',
  },
  evaluateEvery: {
    fallback: 100,
    range: [0, 1e9],
    whole: true,
    meaning: 'steps between tests; 0: at the end only',
  },
  checkpointEvery: {
    fallback: 100,
    range: [0, 1e9],
    whole: true,
    meaning: 'steps between checkpoints; 0: only when stopped and at the end',
  },
};

/** A key with this name is a comment, for JSON. */
const COMMENT = '//';

/** Reads a run's file. `changes` come from flags and are relative to the working folder. */
export async function readRunConfig(
  path: string,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<RunConfig> {
  const full = resolve(path);
  const value = await readSettings(path, "a run's settings");
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError(`${path}: expected an object, found something else`);
  const { [COMMENT]: _, ...raw } = value as Record<string, unknown>;
  const base = dirname(full);
  const absolute = (v: unknown) => (typeof v === 'string' ? resolve(base, v) : v);
  for (const field of ['tokenizer', 'initial', 'output']) if (field in raw) raw[field] = absolute(raw[field]);
  for (const field of ['texts', 'heldOutTexts'])
    if (Array.isArray(raw[field])) raw[field] = (raw[field] as unknown[]).map(absolute);
  if (typeof raw.model === 'string') raw.model = JSON.parse(readFileSync(resolve(base, raw.model), 'utf8'));
  return checkRunConfig(path, { ...raw, ...changes });
}

export function checkRunConfig(name: string, raw: Readonly<Record<string, unknown>>): RunConfig {
  const fail = (field: string, expected: string): never => {
    const found =
      raw[field] === undefined ? 'nothing. Add it; see docs/training.md' : JSON.stringify(raw[field]);
    throw new UsageError(`${name}: ${field}: expected ${expected}, found ${found}`);
  };
  const unknown = Object.keys(raw).find(
    (field) => !Object.hasOwn(RUN_SETTINGS, field) && field !== 'model' && field !== 'texts',
  );
  if (unknown !== undefined)
    throw new UsageError(
      `${name}: ${unknown}: expected one of model, texts, ${Object.keys(RUN_SETTINGS).join(', ')}`,
    );
  const { model, texts } = raw;
  if (typeof model !== 'object' || model === null || Array.isArray(model))
    return fail('model', 'the content of a config.json');
  const isPaths = (value: unknown) => Array.isArray(value) && value.every((path) => typeof path === 'string');
  if (!isPaths(texts) || (texts as unknown[]).length === 0) fail('texts', 'a list of files and folders');
  if (raw.heldOutTexts !== undefined && !isPaths(raw.heldOutTexts))
    fail('heldOutTexts', 'a list of files and folders');
  const coefficient = (model as Record<string, unknown>).router_aux_loss_coef;
  const merged: Record<string, unknown> = {
    ...Object.fromEntries(Object.entries(RUN_SETTINGS).map(([field, { fallback }]) => [field, fallback])),
    ...(typeof coefficient === 'number' ? { balanceLoss: coefficient } : {}),
    ...raw,
  };
  for (const [field, { range, whole }] of Object.entries(RUN_SETTINGS)) {
    if (!range) continue;
    const [low, high] = range;
    const value = merged[field];
    if (typeof value !== 'number' || !(value >= low && value <= high) || (whole && !Number.isInteger(value)))
      fail(field, `a ${whole ? 'whole ' : ''}number from ${low} to ${high}`);
  }
  if (!['cosine', 'wsd', 'constant'].includes(String(merged.schedule)))
    fail('schedule', 'cosine, wsd or constant');
  if (typeof merged.recompute !== 'boolean') fail('recompute', 'true or false');
  if (typeof merged.output !== 'string') fail('output', 'a folder');
  for (const field of ['tokenizer', 'initial'])
    if (merged[field] !== null && typeof merged[field] !== 'string') fail(field, 'a path or null');
  return merged as unknown as RunConfig;
}
