// Texts as vectors. Texts are sorted by length and read in groups that share passes over the weights; nothing
// is padded, and what is under way at a time is bounded, however many texts there are.

import type { ModelSpec } from '../architecture/spec.ts';
import { UsageError } from '../errors.ts';
import { refuseUnknown } from '../generate/options.ts';
import type { Piece } from '../runtime/pieces.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { MAX_SEGMENTS } from '../runtime/step-block.ts';
import type { Tokenizer } from '../tokenizer/types.ts';
import { finish, POOLINGS, type Pooling, pool, project } from './pooling.ts';
import type { EmbeddingRules } from './settings.ts';

/** Options of `model.embed`. `undefined` is the default everywhere. */
export interface EmbedOptions {
  /** How the states of tokens become one vector. Default: what the model's files say. */
  readonly pooling?: Pooling | undefined;
  /** Gives vectors unit length. Default: what the model's files say. */
  readonly normalize?: boolean | undefined;
  /**
   * Keeps the first numbers of each vector, for models that were trained for it (Matryoshka). Before
   * `normalize`. Default: all.
   */
  readonly dimensions?: number | undefined;
  /**
   * What every text begins with: a name among `model.embedding.prompts`, or `{ text }`. Null: nothing. Default:
   * the one that the model's files name, if any.
   */
  readonly prompt?: string | { readonly text: string } | null | undefined;
  /** Longest text in tokens. Default: what the model's files say. */
  readonly maxTokens?: number | undefined;
  /** Rejects with the signal's reason; nothing of the call goes on then. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each group of texts. */
  readonly onProgress?: ((progress: EmbedProgress) => void) | undefined;
}

/** How far `embed` or `rerank` is. */
export interface EmbedProgress {
  /** Texts that are done. */
  readonly done: number;
  /** Texts of the call. */
  readonly total: number;
}

/** A text as a vector. */
export interface Embedding {
  /** As many numbers as asked for, else as the model has dimensions. */
  readonly vector: Float32Array;
  /** Tokens that were read, with what the model puts around a text. */
  readonly tokenCount: number;
  /** Whether the text was longer, and its end was cut. */
  readonly truncated: boolean;
}

/** What `embed` reads with. */
export interface EmbedHost {
  readonly name: string;
  readonly runtime: Runtime;
  readonly tokenizer: Tokenizer | null;
  readonly embedding: EmbeddingRules;
  readonly spec: ModelSpec;
  readonly contextLength: number;
  assertOpen(): void;
  checkTokens(tokens: readonly number[], held: number): void;
}

/** A text, or its tokens as they are, without prompt and without what the model puts around a text. */
export type EmbedInput = string | readonly number[];

const OPTION_NAMES: Record<keyof EmbedOptions, true> = {
  pooling: true,
  normalize: true,
  dimensions: true,
  prompt: true,
  maxTokens: true,
  signal: true,
  onProgress: true,
};

/** Texts that are tokens at a time; sorting more would pad nothing less. */
const WINDOW = 1024;
/** Tokens of a group, where its longest text is not longer by itself. */
const GROUP_TOKENS = 4096;

interface Settings {
  readonly pooling: Pooling;
  readonly normalize: boolean;
  readonly dimensions: number;
  readonly prompt: string;
  readonly maxTokens: number;
}

/** A text that is ready to be read. */
export interface ReadyText {
  readonly tokens: readonly number[];
  /** First tokens that do not count in the pooling. */
  readonly skip: number;
  readonly truncated: boolean;
}

export async function embedTexts(
  host: EmbedHost,
  inputs: readonly EmbedInput[],
  options: EmbedOptions = {},
): Promise<Embedding[]> {
  host.assertOpen();
  checkInputs(inputs);
  const settings = resolve(host, options);
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const results: Embedding[] = [];
  let done = 0;
  for (let from = 0; from < inputs.length; from += WINDOW) {
    const texts = inputs.slice(from, from + WINDOW).map((input, i) => ready(host, settings, input, from + i));
    for (const [i, text] of texts.entries()) if (!text.tokens.length) results[from + i] = nothing(settings);
    done += texts.filter(({ tokens }) => !tokens.length).length;
    for (const group of groupsOf(texts)) {
      const rows = await readGroup(
        host,
        group.map((i) => ({ tokens: texts[i]!.tokens })),
        { output: 'hidden', logits: settings.pooling === 'last' ? 'last' : 'all' },
        signal,
      );
      group.forEach((i, g) => {
        results[from + i] = vectorOf(host.embedding, settings, texts[i]!, rows[g]!);
      });
      done += group.length;
      onProgress?.({ done, total: inputs.length });
    }
  }
  return results;
}

/** The mean of no vectors, as model2vec has it. */
const nothing = ({ dimensions }: Settings): Embedding => ({
  vector: new Float32Array(dimensions),
  tokenCount: 0,
  truncated: false,
});

function vectorOf(
  { dense }: EmbeddingRules,
  { pooling, dimensions, normalize }: Settings,
  { tokens, skip, truncated }: ReadyText,
  rows: Float32Array,
): Embedding {
  const size = rows.length / (pooling === 'last' ? 1 : tokens.length);
  const pooled = dense.reduce(project, pool(rows, size, pooling, skip));
  return { vector: finish(pooled, dimensions, normalize), tokenCount: tokens.length, truncated };
}

/** Indices of the texts, in groups of similar length. */
export function groupsOf(texts: readonly { readonly tokens: readonly number[] }[]): number[][] {
  const some = texts.map((_, i) => i).filter((i) => texts[i]!.tokens.length);
  const order = some.sort((a, b) => texts[a]!.tokens.length - texts[b]!.tokens.length);
  const groups: number[][] = [];
  let sum = GROUP_TOKENS;
  for (const i of order) {
    const { length } = texts[i]!.tokens;
    sum += length;
    if (sum > GROUP_TOKENS || groups.at(-1)?.length === MAX_SEGMENTS) {
      groups.push([]);
      sum = length;
    }
    groups.at(-1)!.push(i);
  }
  return groups;
}

/** Reads texts in passes that they share, each from an empty state. */
export async function readGroup(
  host: EmbedHost,
  texts: readonly Pick<Piece, 'tokens' | 'types'>[],
  wanted: Pick<Piece, 'logits' | 'output'>,
  signal: AbortSignal | undefined,
): Promise<Float32Array[]> {
  host.assertOpen();
  const { runtime } = host;
  const states = texts.map(() => runtime.createState());
  try {
    const pieces = texts.map(({ tokens, types }, i) => ({ state: states[i]!, tokens, types, ...wanted }));
    return (await runtime.step(pieces, signal)) as Float32Array[];
  } finally {
    for (const state of states) state.dispose();
  }
}

function ready(host: EmbedHost, settings: Settings, input: EmbedInput, index: number): ReadyText {
  const { maxTokens } = settings;
  if (typeof input !== 'string') {
    host.checkTokens(input, 0);
    return { tokens: input.slice(0, maxTokens), skip: 0, truncated: input.length > maxTokens };
  }
  const { lowerCase, poolsPrompt, bareTokens } = host.embedding;
  const tokenizer = needTokenizer(host);
  const { before, after } = bareTokens ? NO_FRAME : tokenizer.frame;
  const whole = settings.prompt + input;
  const all = tokenizer.encode(lowerCase ? whole.toLowerCase() : whole, { addBos: false });
  const inner = bareTokens ? all.filter((token) => token !== tokenizer.special.unknown) : all;
  const room = Math.max(0, maxTokens - before.length - after.length);
  const tokens = [...before, ...inner.slice(0, room), ...after].slice(0, maxTokens);
  if (!tokens.length && !bareTokens)
    throw new UsageError(
      `text ${index + 1}: expected at least one token, found none: this model puts none around a text, so it cannot be empty`,
    );
  const prompt =
    poolsPrompt || !settings.prompt ? 0 : before.length + promptTokens(tokenizer, settings.prompt);
  return { tokens, skip: prompt, truncated: inner.length > room };
}

const NO_FRAME: Tokenizer['frame'] = { before: [], after: [] };

const promptTokens = (tokenizer: Tokenizer, prompt: string): number =>
  tokenizer.encode(prompt, { addBos: false }).length;

function needTokenizer({ tokenizer, name }: EmbedHost): Tokenizer {
  if (!tokenizer) throw new UsageError(`${name} has no tokenizer: pass token ids instead of texts`);
  return tokenizer;
}

function checkInputs(inputs: readonly EmbedInput[]): void {
  if (!Array.isArray(inputs))
    throw new UsageError(`embed: expected a text or an array of texts, found ${typeof inputs}`);
  const bad = inputs.findIndex((input) => typeof input !== 'string' && !Array.isArray(input));
  if (bad >= 0)
    throw new UsageError(
      `embed: text ${bad + 1}: expected a string or an array of token ids, found ${typeof inputs[bad]}`,
    );
}

function resolve({ embedding, contextLength, name }: EmbedHost, options: EmbedOptions): Settings {
  refuseUnknown('option', options, OPTION_NAMES);
  const { pooling = embedding.pooling, normalize = embedding.normalize } = options;
  if (pooling === null)
    throw new UsageError(
      `pooling: ${name} does not say how its texts become vectors. Give one of ${POOLINGS.join(', ')}: ` +
        "'last' suits models that read from left to right.",
    );
  if (!POOLINGS.includes(pooling))
    throw new UsageError(`pooling: expected one of ${POOLINGS.join(', ')}, found ${JSON.stringify(pooling)}`);
  if (typeof normalize !== 'boolean')
    throw new UsageError(`normalize: expected true or false, found ${JSON.stringify(normalize)}`);
  const most = Math.min(contextLength, embedding.maxTokens);
  return {
    pooling,
    normalize,
    dimensions: whole('dimensions', options.dimensions, embedding.dimensions, embedding.dimensions),
    prompt: promptOf(embedding, options.prompt),
    maxTokens: whole('maxTokens', options.maxTokens, most, contextLength),
  };
}

export function whole(name: string, value: number | undefined, otherwise: number, most: number): number {
  const found = value ?? otherwise;
  if (!Number.isInteger(found) || found < 1 || found > most)
    throw new UsageError(`${name}: expected a whole number from 1 to ${most}, found ${found}`);
  return found;
}

function promptOf({ prompts, defaultPrompt }: EmbeddingRules, prompt: EmbedOptions['prompt']): string {
  if (prompt === null) return '';
  if (typeof prompt === 'object') {
    if (typeof prompt.text !== 'string') throw new UsageError('prompt: expected a name or { text: string }');
    return prompt.text;
  }
  const name = prompt ?? defaultPrompt;
  if (name === null) return '';
  const text = Object.hasOwn(prompts, name) ? prompts[name] : undefined;
  if (text === undefined)
    throw new UsageError(
      `prompt: expected ${Object.keys(prompts).join(', ') || 'null, as the model has no prompts'} or { text }, ` +
        `found ${JSON.stringify(name)}`,
    );
  return text;
}
