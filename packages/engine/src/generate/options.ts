// Checks the options of a caller once and fills in the defaults that `types.ts` documents with their sources.
// Everything after this file works with complete, valid settings.

import { UsageError } from '../errors.ts';
import { randomSeed } from './random.ts';
import type { DryOptions, GenerateOptions, SamplingOptions, XtcOptions } from './types.ts';

interface XtcSettings {
  readonly probability: number;
  readonly threshold: number;
}

export interface DrySettings {
  readonly multiplier: number;
  readonly base: number;
  readonly allowedLength: number;
  readonly window: number;
  /** Null when the caller named none: the defaults then apply where there is a tokenizer. */
  readonly breakers: readonly string[] | null;
}

export interface PenaltySettings {
  readonly repetitionPenalty: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  readonly repetitionWindow: number;
}

export interface SamplingSettings extends PenaltySettings {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly typicalP: number;
  readonly xtc: XtcSettings | null;
  readonly dry: DrySettings | null;
  readonly logitBias: ReadonlyMap<number, number>;
  readonly seed: number;
}

export interface StopSettings {
  readonly maxTokens: number;
  readonly stop: readonly string[];
  readonly stopTokens: ReadonlySet<number>;
  readonly ignoreEos: boolean;
  readonly logprobs: number | null;
  readonly signal: AbortSignal | null;
}

interface Range {
  readonly fallback: number;
  readonly min?: number;
  readonly max?: number;
  readonly integer?: true;
  /** A value outside the range that has a meaning of its own. */
  readonly also?: number;
}

// `Record<keyof …>`: an option cannot be added to the interface and forgotten here.
const samplingNames: Record<keyof SamplingOptions, true> = {
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  typicalP: true,
  xtc: true,
  repetitionPenalty: true,
  repetitionWindow: true,
  frequencyPenalty: true,
  presencePenalty: true,
  dry: true,
  logitBias: true,
  seed: true,
};
const generateNames: Record<keyof GenerateOptions, true> = {
  ...samplingNames,
  maxTokens: true,
  stop: true,
  stopTokens: true,
  ignoreEos: true,
  logprobs: true,
  signal: true,
  speculate: true,
  output: true,
  sampling: true,
};
const dryNames: Record<keyof DryOptions, true> = {
  multiplier: true,
  base: true,
  allowedLength: true,
  window: true,
  breakers: true,
};
const xtcNames: Record<keyof XtcOptions, true> = { probability: true, threshold: true };

/**
 * The options with the model's recommended sampling under them, unless they ask for neutral sampling. Throws
 * UsageError for anything but an object.
 */
export function withRecommended(options: GenerateOptions, recommended: SamplingOptions): GenerateOptions {
  const { sampling, ...given } = object('options', options, '');
  if (sampling !== undefined && sampling !== 'recommended' && sampling !== 'neutral')
    refuse('sampling', "'recommended' or 'neutral'", sampling);
  if (sampling === 'neutral') return given;
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...recommended, ...Object.fromEntries(said) };
}

/**
 * Throws UsageError for a value that is out of range or of the wrong type, and for an option that does not
 * exist.
 */
export function resolveSampling(options: SamplingOptions, vocabularySize: number): SamplingSettings {
  refuseUnknown('option', options, generateNames);
  return {
    temperature: number('temperature', options.temperature, { fallback: 1, min: 0 }),
    topK: number('topK', options.topK, { fallback: 0, min: 0, integer: true, also: -1 }),
    topP: number('topP', options.topP, { fallback: 1, min: 0, max: 1 }),
    minP: number('minP', options.minP, { fallback: 0, min: 0, max: 1 }),
    typicalP: number('typicalP', options.typicalP, { fallback: 1, min: 0, max: 1 }),
    xtc: resolveXtc(options.xtc),
    repetitionPenalty: number('repetitionPenalty', options.repetitionPenalty, {
      fallback: 1,
      min: 0.01,
      max: 100,
    }),
    frequencyPenalty: number('frequencyPenalty', options.frequencyPenalty, { fallback: 0, min: -2, max: 2 }),
    presencePenalty: number('presencePenalty', options.presencePenalty, { fallback: 0, min: -2, max: 2 }),
    repetitionWindow: number('repetitionWindow', options.repetitionWindow, {
      fallback: 64,
      min: 0,
      integer: true,
      also: -1,
    }),
    dry: resolveDry(options.dry),
    logitBias: resolveBias(options.logitBias, vocabularySize),
    seed:
      options.seed === undefined
        ? randomSeed()
        : number('seed', options.seed, { fallback: 0, min: 0, integer: true }),
  };
}

/** The options of `generate` that the sampler does not need. */
export function resolveStops(options: GenerateOptions, vocabularySize: number): StopSettings {
  refuseUnknown('option', options, generateNames);
  const maxTokens = options.maxTokens === Infinity ? undefined : options.maxTokens;
  const logprobs = { fallback: 0, min: 0, max: vocabularySize, integer: true } as const;
  if (options.ignoreEos !== undefined && typeof options.ignoreEos !== 'boolean') {
    refuse('ignoreEos', 'true or false', options.ignoreEos);
  }
  if (options.signal !== undefined && !(options.signal instanceof AbortSignal)) {
    refuse('signal', 'an AbortSignal', options.signal);
  }
  const { speculate } = options;
  if (speculate !== undefined && typeof speculate !== 'boolean' && speculate !== 'auto')
    refuse('speculate', "true, false or 'auto'", speculate);
  return {
    maxTokens: number('maxTokens', maxTokens, { fallback: Infinity, min: 0, integer: true }),
    stop: strings('stop', options.stop) ?? [],
    stopTokens: tokenSet('stopTokens', options.stopTokens, vocabularySize),
    ignoreEos: options.ignoreEos ?? false,
    logprobs: options.logprobs === undefined ? null : number('logprobs', options.logprobs, logprobs),
    signal: options.signal ?? null,
  };
}

function resolveXtc(xtc: XtcOptions | undefined): XtcSettings | null {
  if (xtc === undefined) return null;
  refuseUnknown('option xtc', object('xtc', xtc), xtcNames);
  const probability = required('xtc.probability', xtc.probability, { fallback: 0, min: 0, max: 1 });
  const threshold = number('xtc.threshold', xtc.threshold, { fallback: 0.1, min: 0, max: 1 });
  // Above a half at most one token can be likely enough, and the least likely one stays.
  return probability === 0 || threshold > 0.5 ? null : { probability, threshold };
}

function resolveDry(dry: DryOptions | undefined): DrySettings | null {
  if (dry === undefined) return null;
  refuseUnknown('option dry', object('dry', dry), dryNames);
  const settings = {
    multiplier: required('dry.multiplier', dry.multiplier, { fallback: 0, min: 0 }),
    base: number('dry.base', dry.base, { fallback: 1.75, min: 1 }),
    allowedLength: number('dry.allowedLength', dry.allowedLength, { fallback: 2, min: 1, integer: true }),
    window: number('dry.window', dry.window, { fallback: -1, min: 0, integer: true, also: -1 }),
    breakers: strings('dry.breakers', dry.breakers),
  };
  return settings.multiplier === 0 || settings.window === 0 ? null : settings;
}

function resolveBias(
  bias: Readonly<Record<number, number>> | undefined,
  vocabularySize: number,
): Map<number, number> {
  const resolved = new Map<number, number>();
  if (bias === undefined) return resolved;
  for (const [key, value] of Object.entries(object('logitBias', bias))) {
    const token = Number(key);
    if (!isToken(token, vocabularySize)) {
      refuse('logitBias', `token ids from 0 to ${vocabularySize - 1} as keys`, key);
    }
    if (typeof value !== 'number' || Number.isNaN(value) || value === Infinity) {
      refuse(`logitBias[${token}]`, 'a finite number, or -Infinity to forbid the token', value);
    }
    resolved.set(token, value);
  }
  return resolved;
}

function number(name: string, value: unknown, range: Range): number {
  if (value === undefined) return range.fallback;
  const { min = -Infinity, max = Infinity, integer, also } = range;
  if (value === also) return also;
  const whole = integer ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (typeof value === 'number' && whole && value >= min && value <= max) return value;
  const kind = integer ? 'an integer' : 'a number';
  const bounds = max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`;
  const extra = also === undefined ? '' : `, or ${also}`;
  refuse(name, `${kind} ${bounds}${extra}`, value, `Leave it out for ${range.fallback}.`);
}

function required(name: string, value: unknown, range: Range): number {
  if (value === undefined) refuse(name, 'a number', value, 'It has no default.');
  return number(name, value, range);
}

function strings(name: string, value: unknown): readonly string[] | null {
  if (value === undefined) return null;
  const expected = 'an array of non-empty, well-formed strings';
  if (!Array.isArray(value)) refuse(name, expected, value);
  return value.map((item: unknown, index) => {
    if (typeof item !== 'string' || item === '' || !item.isWellFormed())
      refuse(`${name}[${index}]`, expected, item);
    return item;
  });
}

function tokenSet(name: string, value: unknown, vocabularySize: number): Set<number> {
  if (value === undefined) return new Set();
  const expected = `an array of token ids from 0 to ${vocabularySize - 1}`;
  if (!Array.isArray(value)) refuse(name, expected, value);
  return new Set(
    value.map((item: unknown, index) => {
      if (!isToken(item, vocabularySize)) refuse(`${name}[${index}]`, expected, item);
      return item;
    }),
  );
}

export function isToken(value: unknown, vocabularySize: number): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < vocabularySize;
}

function object<T>(name: string, value: T, subject = 'option '): T & object {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    refuse(name, 'an object', value, '', subject);
  return value;
}

export function refuseUnknown(subject: string, options: object, known: Record<string, true>): void {
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(known, name)) continue;
    const camel = name.replace(/[_-](\w)/g, (_, letter: string) => letter.toUpperCase());
    const hint = Object.hasOwn(known, camel) ? `Write ${camel}.` : `Known: ${Object.keys(known).join(', ')}.`;
    throw new UsageError(`${subject} ${name} does not exist. ${hint}`);
  }
}

function refuse(name: string, expected: string, found: unknown, remedy = '', subject = 'option '): never {
  const shown = typeof found === 'string' ? JSON.stringify(found) : describe(found);
  throw new UsageError(
    `${subject}${name}: expected ${expected}, found ${shown}.${remedy ? ` ${remedy}` : ''}`,
  );
}

function describe(found: unknown): string {
  if (Array.isArray(found)) return 'an array';
  return typeof found === 'object' && found !== null ? 'an object' : String(found);
}
