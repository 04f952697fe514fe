// Options that several commands share, and how their values are read. A value that cannot be right is wrong
// usage.
import { availableParallelism } from 'node:os';
import { type CacheType, type LoadModelOptions, QUANTIZE_TYPES, type QuantizeType } from '@marimba/engine';
import { type Command, InvalidArgumentError, Option } from 'commander';

export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max) {
      const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
      throw new InvalidArgumentError(`Expected a whole number ${range}.`);
    }
    return value;
  };
}

export function realNumber(min: number, max = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= min && value <= max))
      throw new InvalidArgumentError(
        `Expected a number ${max === Number.POSITIVE_INFINITY ? `of at least ${min}` : `from ${min} to ${max}`}.`,
      );
    return value;
  };
}

/** "1,2,3" */
export function tokenList(text: string): number[] {
  const parts = text.split(/[\s,]+/).filter(Boolean);
  if (parts.length === 0 || !parts.every((part) => /^\d+$/.test(part)))
    throw new InvalidArgumentError('Expected token ids with commas between them, such as 1,2,3.');
  return parts.map(Number);
}

/** "4096", "256K", "1M": K and M are powers of two, as context lengths are. */
export function contextSize(text: string): number {
  const match = /^(\d+)([KkMm]?)$/.exec(text.trim());
  const scale = { '': 1, k: 1024, m: 1024 * 1024 }[(match?.[2] ?? '').toLowerCase()];
  const value = match && scale ? Number(match[1]) * scale : 0;
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected a number of tokens, such as 4096 or 256K.');
  return value;
}

export function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** Parsed values of `addModelOptions`. */
export interface ModelFlags {
  readonly threads?: number;
  readonly backend?: 'wasm' | 'reference';
  readonly kernels?: 'relaxed' | 'baseline';
  readonly quantize?: QuantizeType;
  readonly cacheType?: CacheType;
  readonly activations?: 'auto' | 'f32' | 'int8';
  readonly context?: number;
  readonly token?: string;
  readonly endpoint?: string;
}

export function addHubOptions(command: Command): Command {
  return command
    .optionsGroup('Hub:')
    .option('--token <TOKEN>', 'access token for gated models (default: HF_TOKEN)')
    .option('--endpoint <URL>', 'another hub than huggingface.co (default: HF_ENDPOINT)');
}

const CACHE_TYPES: readonly CacheType[] = ['f32', 'f16', 'q8'];

export const quantizeOption = (): Option =>
  new Option('--quantize <TYPE>', 'quantise a 16- or 32-bit model while it loads').choices(QUANTIZE_TYPES);

export const cacheTypeOption = (): Option =>
  new Option('--cache-type <TYPE>', 'format of the attention cache (default: f16)').choices(CACHE_TYPES);

export const threadsOption = (): Option =>
  new Option(
    '--threads <N>',
    `worker threads (default: ${Math.min(availableParallelism(), 8)} here)`,
  ).argParser(wholeNumber(1, 64));

/** How a model is loaded and run. `defaults` are shown in the help text. */
export function addModelOptions(
  command: Command,
  defaults: { cacheType?: CacheType; activations?: string } = {},
): Command {
  const { cacheType = 'f16', activations = 'auto' } = defaults;
  command
    .optionsGroup('Running:')
    .addOption(threadsOption())
    .addOption(
      new Option('--backend <NAME>', 'wasm is fast, reference is plain and exact (default: wasm)').choices([
        'wasm',
        'reference',
      ]),
    )
    .addOption(
      new Option('--kernels <BUILD>', 'which WebAssembly build (default: relaxed where it runs)').choices([
        'relaxed',
        'baseline',
      ]),
    )
    .addOption(quantizeOption())
    .addOption(
      new Option('--cache-type <TYPE>', `format of the attention cache (default: ${cacheType})`).choices(
        CACHE_TYPES,
      ),
    )
    .addOption(
      new Option(
        '--activations <MODE>',
        `how activations meet quantised weights: f32 is exact, int8 fast (default: ${activations})`,
      ).choices(['auto', 'f32', 'int8']),
    )
    .addOption(
      new Option('--context <N>', 'longest context, such as 8192 or 32K (default: the model’s)').argParser(
        contextSize,
      ),
    );
  return addHubOptions(command);
}

export function loadOptions(flags: ModelFlags): LoadModelOptions {
  return {
    threads: flags.threads,
    backend: flags.backend,
    variant: flags.kernels,
    quantize: flags.quantize,
    cacheType: flags.cacheType,
    activations: flags.activations,
    contextLength: flags.context,
    token: flags.token,
    endpoint: flags.endpoint,
  };
}
