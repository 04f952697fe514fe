// An output format while an answer is generated: where in the machine the answer is, what may come next, and
// what must.
import { UsageError } from '../errors.ts';
import { DEAD, type Machine, run } from '../grammar/machine.ts';
import type { Masks } from '../grammar/mask/masks.ts';
import {
  type CompiledOutput,
  compileOutput,
  type OutputMeaning,
  type OutputOptions,
} from '../grammar/output.ts';
import type { AllowedTokens } from './allowed.ts';
import type { GenerationTokenizer, TokenModel } from './types.ts';

/** Bytes of a forced stretch that are looked at together. */
const LONGEST_FORCED = 96;
/** Tokens before a forced stretch that its tokens must fit to. */
const CONTEXT_TOKENS = 8;
/** What may follow a forced stretch: tokens that hold with all of these in place are its canonical ones. */
const FOLLOWERS = ['', 'a', ' ', '1', '"', ',', '\n', 'é'];

const JSON_DEFAULTS = { whitespace: 'compact', numbers: 'plain' } as const;

const NONE = -1;
const SEVERAL = -2;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class Constraint {
  readonly #compiled: CompiledOutput;
  readonly #machine: Machine;
  readonly #masks: Masks;
  readonly #tokenizer: GenerationTokenizer;
  readonly #endTokens: readonly number[];
  readonly #barred: readonly number[];
  readonly #tokens: number[] = [];
  /** Forced stretches by state and tokens before. */
  readonly #known = new Map<string, readonly number[]>();
  #state: number;

  /** `endTokens` may come where a text may end; `barred` are those of them that are text as well. */
  constructor(
    compiled: CompiledOutput,
    masks: Masks,
    tokenizer: GenerationTokenizer,
    endTokens: readonly number[],
  ) {
    this.#compiled = compiled;
    this.#machine = compiled.machine;
    this.#masks = masks;
    this.#tokenizer = tokenizer;
    this.#endTokens = endTokens;
    this.#barred = endTokens.filter((token) => masks.vocabulary.bytesOf(token) !== null);
    this.#state = compiled.machine.start;
  }

  /** What may come next. */
  allowed(): AllowedTokens {
    const mask = this.#masks.of(this.#machine, this.#state);
    return { mask, ends: this.isComplete ? this.#endTokens : [], barred: this.#barred };
  }

  /** Goes on with a token of the text. Throws UsageError for one that the format does not allow. */
  accept(token: number): void {
    const next = this.#after(this.#state, token);
    if (next === DEAD)
      throw new UsageError(
        `option output: expected a text of its format so far, found ${JSON.stringify(this.#text([token]))} after ` +
          JSON.stringify(this.#text(this.#tokens).slice(-60)),
      );
    this.#state = next;
    this.#tokens.push(token);
  }

  #after(state: number, token: number): number {
    const bytes = this.#masks.vocabulary.bytesOf(token);
    return bytes === null ? DEAD : run(this.#machine, state, bytes);
  }

  /** Whether the text may end here. */
  get isComplete(): boolean {
    return this.#machine.accepts(this.#state);
  }

  /** Whether the text is complete and nothing may follow. */
  get isOver(): boolean {
    return this.isComplete && this.#onlyByte(this.#state) === NONE;
  }

  /** How many of these tokens could come next, in order: where a draft is to be cut. */
  fitting(tokens: readonly number[]): number {
    let state = this.#state;
    for (const [i, token] of tokens.entries()) {
      state = this.#after(state, token);
      if (state === DEAD) return i;
    }
    return tokens.length;
  }

  /** What the whole text means. */
  meaning(): OutputMeaning | Promise<OutputMeaning> {
    return this.#compiled.parse(this.#text(this.#tokens));
  }

  #text(tokens: readonly number[]): string {
    return decoder.decode(this.#bytes(tokens));
  }

  #bytes(tokens: readonly number[]): Uint8Array {
    return Uint8Array.from(tokens.flatMap((token) => [...(this.#masks.vocabulary.bytesOf(token) ?? [])]));
  }

  /** The only byte that may follow, NONE or SEVERAL. */
  #onlyByte(state: number): number {
    let only = NONE;
    for (let byte = 0; byte < 256; byte++) {
      if (this.#machine.step(state, byte) === DEAD) continue;
      if (only !== NONE) return SEVERAL;
      only = byte;
    }
    return only;
  }

  /**
   * The tokens of what must follow, whatever the model would say: the tokenizer's own cut of it, as far as it
   * is the same whatever comes after. Empty where there is a choice, or where the tokens before are not the
   * tokenizer's own cut.
   */
  forced(): number[] {
    const bytes: number[] = [];
    let state = this.#state;
    while (bytes.length < LONGEST_FORCED && !this.#machine.accepts(state)) {
      const byte = this.#onlyByte(state);
      if (byte < 0) break;
      bytes.push(byte);
      state = this.#machine.step(state, byte);
    }
    if (bytes.length < 2) return [];
    const key = `${this.#state},${this.#tokens.slice(-CONTEXT_TOKENS).join()}`;
    const known = this.#known.get(key);
    if (known !== undefined) return [...known];
    const tokens = this.#canonical(bytes);
    this.#known.set(key, tokens);
    return [...tokens];
  }

  #canonical(bytes: readonly number[]): number[] {
    const before = this.#tokens.slice(-CONTEXT_TOKENS);
    const known = this.#bytes(before);
    const text = wholeText(Uint8Array.from([...known, ...bytes]));
    if (text === null) return [];
    const cuts = FOLLOWERS.map((more) => this.#tokenizer.encode(text + more, { addBos: false }));
    const [first] = cuts;
    const same = first.findIndex((token, i) => cuts.some((cut) => cut[i] !== token));
    const tokens = same < 0 ? first : first.slice(0, same);
    if (tokens.length <= before.length || before.some((token, i) => tokens[i] !== token)) return [];
    const forced = tokens.slice(before.length);
    return forced.slice(0, this.fitting(forced));
  }
}

/**
 * The bytes as text, an incomplete character at their end left out; null for anything else that is no UTF-8.
 */
function wholeText(bytes: Uint8Array): string | null {
  for (let cut = 0; cut < 4 && cut < bytes.length; cut++) {
    try {
      return strict.decode(bytes.subarray(0, bytes.length - cut));
    } catch {}
  }
  return null;
}

/**
 * The constraint of a generation's options; null where any text will do. Throws UsageError, and GrammarError.
 */
export function createConstraint(
  output: OutputOptions | undefined,
  model: Pick<TokenModel, 'masks' | 'tokenizer'>,
  endTokens: readonly number[],
): Constraint | null {
  if (output === undefined) return null;
  if (typeof output !== 'object' || output === null)
    throw new UsageError(
      `option output: expected an object, found ${output === null ? 'null' : typeof output}`,
    );
  // Asked for only here: the masks' vocabulary is built when it is first wanted, tens of megabytes.
  const { masks, tokenizer } = model;
  if (masks === null || tokenizer === null)
    throw new UsageError('option output: expected a model with a tokenizer, found one without');
  const { from, ...format } = output;
  if (from !== undefined && !(Number.isSafeInteger(from) && from >= 0))
    throw new UsageError(`option output.from: expected a whole number from 0, found ${String(from)}`);
  // Blanks between the parts of JSON and zeros behind a fraction say nothing, and small models write them for
  // ever.
  const compiled = compileOutput('schema' in format ? { ...JSON_DEFAULTS, ...format } : format);
  return new Constraint(compiled, masks, tokenizer, endTokens);
}
