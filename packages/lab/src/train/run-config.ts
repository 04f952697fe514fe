// A training run as a file: `export default { … }` in TypeScript or the same as JSON, checked field by field. Paths are
// relative to the file. Everything but the model and the texts has a default.
import { readFileSync } from 'node:fs';
import { dirname, extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { UsageError } from '@marimba/engine';
import type { JsonObject } from '@marimba/engine/formats';

export interface RunConfig {
  /** The content of a config.json: model_type jamba, mamba, llama or marimba (any mix of layers), and its sizes. */
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

const DEFAULTS = {
  initial: null,
  tokenizer: null,
  heldOutTexts: [],
  heldOut: 0.05,
  heldOutTokens: 65_536,
  output: 'run',
  sequences: 8,
  length: 256,
  accumulate: 1,
  steps: 1000,
  seed: 0,
  schedule: 'cosine',
  learningRate: 1e-3,
  floor: 0.1,
  warmupSteps: 50,
  decayShare: 0.2,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  clipNorm: 1,
  evaluateEvery: 100,
  checkpointEvery: 100,
  recompute: false,
  balanceLoss: 0,
} as const satisfies Omit<RunConfig, 'model' | 'texts'>;

/** Allowed range of each number; those of `WHOLE` are whole. */
const RANGES: Readonly<Record<string, readonly [low: number, high: number]>> = {
  heldOut: [0.0001, 0.9],
  heldOutTokens: [1, 2 ** 31],
  sequences: [1, 65_536],
  length: [1, 1_048_576],
  accumulate: [1, 65_536],
  steps: [1, 1e9],
  seed: [0, 2 ** 32],
  learningRate: [0, 10],
  floor: [0, 1],
  warmupSteps: [0, 1e9],
  decayShare: [0, 1],
  beta1: [0, 0.9999999],
  beta2: [0, 0.9999999],
  epsilon: [1e-20, 1],
  weightDecay: [0, 10],
  clipNorm: [0, 1e9],
  evaluateEvery: [0, 1e9],
  checkpointEvery: [0, 1e9],
  balanceLoss: [0, 10],
};
const WHOLE: ReadonlySet<string> = new Set([
  'heldOutTokens',
  'sequences',
  'length',
  'accumulate',
  'steps',
  'seed',
  'warmupSteps',
  'evaluateEvery',
  'checkpointEvery',
]);

/** Reads a run's file. `changes` come from flags and are relative to the working folder. */
export async function readRunConfig(
  path: string,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<RunConfig> {
  const full = resolve(path);
  let value: unknown;
  try {
    value = extname(full) === '.json' ? JSON.parse(readFileSync(full, 'utf8')) : await importDefault(full);
  } catch (error) {
    throw new UsageError(
      `${path}: expected a run's settings as JSON or a module, found none: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError(`${path}: expected an object, found something else`);
  const raw = { ...value } as Record<string, unknown>;
  const base = dirname(full);
  const absolute = (v: unknown) => (typeof v === 'string' ? resolve(base, v) : v);
  for (const field of ['tokenizer', 'initial', 'output']) if (field in raw) raw[field] = absolute(raw[field]);
  for (const field of ['texts', 'heldOutTexts'])
    if (Array.isArray(raw[field])) raw[field] = (raw[field] as unknown[]).map(absolute);
  if (typeof raw.model === 'string') raw.model = JSON.parse(readFileSync(resolve(base, raw.model), 'utf8'));
  return checkRunConfig(path, { ...raw, ...changes });
}

async function importDefault(path: string): Promise<unknown> {
  return ((await import(pathToFileURL(path).href)) as { default?: unknown }).default;
}

export function checkRunConfig(name: string, raw: Readonly<Record<string, unknown>>): RunConfig {
  const fail = (field: string, expected: string): never => {
    throw new UsageError(
      `${name}: ${field}: expected ${expected}, found ${JSON.stringify(raw[field]) ?? 'nothing'}`,
    );
  };
  const unknown = Object.keys(raw).find(
    (field) => !(field in DEFAULTS) && field !== 'model' && field !== 'texts',
  );
  if (unknown !== undefined)
    throw new UsageError(
      `${name}: ${unknown}: expected one of model, texts, ${Object.keys(DEFAULTS).join(', ')}`,
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
    ...DEFAULTS,
    ...(typeof coefficient === 'number' ? { balanceLoss: coefficient } : {}),
    ...raw,
  };
  for (const [field, [low, high]] of Object.entries(RANGES)) {
    const value = merged[field];
    const whole = WHOLE.has(field);
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
