// A training run as a file: `export default { … }` in TypeScript or the same as JSON, checked field by field.
// Paths are relative to the file. Everything but the model and the texts has a default.
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { UsageError } from '@marimba/engine';
import type { JsonObject } from '@marimba/engine/formats';
import { readSettings } from '../settings-file.ts';

/** A training run's settings, with the defaults of `checkRunConfig`. `docs/training.md` lists them. */
export interface RunConfig {
  /**
   * The content of a config.json: model_type jamba, mamba, llama or marimba (any mix of layers), and its
   * sizes.
   */
  readonly model: JsonObject;
  /** A Hugging Face folder to start from. Default null: fresh weights. */
  readonly initial: string | null;
  /** Files and folders of text or JSONL; at least one. */
  readonly texts: readonly string[];
  /** Path of a tokenizer.json. Default null: one is trained on the texts, with the model's vocab_size. */
  readonly tokenizer: string | null;
  /** Files and folders that are never trained on. Default empty: a share of `texts` is set aside. */
  readonly heldOutTexts: readonly string[];
  /** That share, by tokens: whole documents, or the end of a single one. Default 0.05. */
  readonly heldOut: number;
  /** Tests on at most this many tokens. Default 65,536. */
  readonly heldOutTokens: number;
  /** Folder for checkpoints, the log and the trained model. Default `run`. */
  readonly output: string;
  /** Sequences per batch. Default 8. */
  readonly sequences: number;
  /** Tokens per sequence. Default 256. */
  readonly length: number;
  /** Batches per optimiser step: the gradient is of the mean over all their tokens. Default 1. */
  readonly accumulate: number;
  /** Optimiser steps. Default 1000. */
  readonly steps: number;
  /** Seeds the first weights and the order of the data. Default 0. */
  readonly seed: number;
  /**
   * How the rate falls after a linear warm-up: along a cosine (Loshchilov & Hutter 2017), constant and then
   * linearly (`wsd`, Hu et al. 2024), or not at all. Default cosine.
   */
  readonly schedule: 'cosine' | 'wsd' | 'constant';
  /** Peak learning rate, after warm-up. Default 0.001. */
  readonly learningRate: number;
  /** Learning rate at the end, as a share of the peak. Default 0.1. */
  readonly floor: number;
  /** Steps over which the learning rate rises. Default 50. */
  readonly warmupSteps: number;
  /** Share of the steps that `wsd` decays over. Default 0.2. */
  readonly decayShare: number;
  /** AdamW's decay of the mean gradient. Default 0.9. */
  readonly beta1: number;
  /** AdamW's decay of the mean squared gradient. Default 0.95. */
  readonly beta2: number;
  /** Added to AdamW's denominator. Default 1e-8. */
  readonly epsilon: number;
  /** AdamW's decay of matrices; vectors do not decay. Default 0.1. */
  readonly weightDecay: number;
  /** Scales larger gradients down to this L2 norm; 0: never. Default 1. */
  readonly clipNorm: number;
  /** Steps between held-out losses; 0: at the end only. Default 100. */
  readonly evaluateEvery: number;
  /** Steps between checkpoints; 0: only when stopped and at the end. Default 100. */
  readonly checkpointEvery: number;
  /** Computes inner values again in the backward pass: less memory, more time. Default false. */
  readonly recompute: boolean;
  /** Weight of the experts' load-balancing loss. Default: the model's router_aux_loss_coef, else 0. */
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

/**
 * Reads a run's file: .json, .mjs, .js or, where Node runs it, .ts. Its paths are relative to it; `changes`
 * win over it, and their paths are relative to the working folder. Throws UsageError that names the file and
 * the field.
 */
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

/**
 * Checks settings field by field and fills in defaults. `name` begins the messages. Throws UsageError for a
 * field that is unknown, missing or out of range.
 */
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
