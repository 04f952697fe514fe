// Conversations → tokens, with the model's own chat template. The template's markers become their tokens; the
// same markers in what people or tools wrote stay plain text (see guard.ts). The variables are those of
// transformers' `apply_chat_template`, and the template runs as it does there (jinja/).

import { FormatError, UsageError } from '../errors.ts';
import type { JsonObject } from '../formats/types.ts';
import { type Author, type ChatMessage, messageValue, type Protect } from './chat-messages.ts';
import { escapeOf, MarkerGuard, unusedCharacter } from './guard.ts';
import { takesParts } from './jinja/content-parts.ts';
import { toValue } from './jinja/convert.ts';
import { LimitError, Refusal, TemplateError } from './jinja/errors.ts';
import { JinjaTemplate } from './jinja/template.ts';
import type { Value } from './jinja/values.ts';
import type { Tokenizer } from './types.ts';

/** What a chat template gets beside the messages. */
export interface ChatTemplateOptions {
  /** JSON schemas of functions, as in OpenAI's API. */
  readonly tools?: readonly JsonObject[] | undefined;
  /** Ends with the opening of the assistant's turn. Default: true. */
  readonly addGenerationPrompt?: boolean | undefined;
  /**
   * The name of one of several templates, such as `rag`. Default: as transformers chooses, `tool_use` where tools
   * are passed and there is one, else `default`.
   */
  readonly template?: string | undefined;
  /** Further variables of the template, such as `enable_thinking` or `documents`. */
  readonly [variable: string]: unknown;
}

/** Texts of the tokens that templates name. */
export interface TemplateTokens {
  readonly bos?: string | null | undefined;
  readonly eos?: string | null | undefined;
  readonly unknown?: string | null | undefined;
  readonly pad?: string | null | undefined;
}

/** Writes conversations the way the model was trained to read them. */
export interface ChatTemplate {
  /** Where the template is from, for messages. */
  readonly name: string;
  /** The template itself, in Jinja; of several, the one called `default`. */
  readonly source: string;
  /** Why conversations cannot be written: the template is not valid. Null when it is. */
  readonly error: string | null;
  /** The text of a conversation, as the template writes it. */
  render(messages: readonly ChatMessage[], options?: ChatTemplateOptions): string;
  /**
   * Throws UsageError for messages that the template refuses, FormatError for a template that cannot be run.
   */
  encode(
    messages: readonly ChatMessage[],
    tokenizer: Tokenizer,
    options?: ChatTemplateOptions,
  ): { tokens: number[]; text: string };
}

/** For models without a template: ChatML, the plainest format that instruction models know (OpenAI, 2023). */
export const chatMlTemplate =
  "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{%- endfor -%}" +
  "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}";

/**
 * `source` null: ChatML; a map: several templates by name. `name`: of the file, for messages. A template that is
 * not valid is refused when it is used; `error` says so before.
 */
export function createChatTemplate(
  source: string | ReadonlyMap<string, string> | null,
  tokens: TemplateTokens,
  name: string,
): ChatTemplate {
  const sources = typeof source === 'string' ? new Map([['default', source]]) : source;
  return new JinjaChatTemplate(sources, tokens, name);
}

/** For a model whose template cannot even be read: refuses conversations with that reason. */
export function unreadableChatTemplate(reason: string, name: string): ChatTemplate {
  const refuse = (): never => {
    throw new FormatError(`${name}: not a valid chat template: ${reason}`);
  };
  return { name, source: '', error: reason, render: refuse, encode: refuse };
}

/**
 * Thoughts that the assistant wrote are its own: templates cut them out of earlier turns by these markers.
 */
const reasoningMarkers = new Set(['<think>', '</think>']);

/** A template that was parsed, or what is wrong with it. */
type Parsed = { readonly program: JinjaTemplate; readonly takesParts: boolean } | { readonly error: string };

function parse(source: string): Parsed {
  try {
    const program = new JinjaTemplate(source);
    return { program, takesParts: takesParts(program.body) };
  } catch (error) {
    if (error instanceof TemplateError || error instanceof LimitError) return { error: at(error) };
    throw error;
  }
}

function at(error: TemplateError | LimitError | Refusal): string {
  return `${error.line > 0 ? `line ${error.line}: ` : ''}${error.message.slice(0, 300)}`;
}

class JinjaChatTemplate implements ChatTemplate {
  readonly name: string;
  readonly source: string;
  readonly #isDefault: boolean;
  readonly #sources: ReadonlyMap<string, string>;
  readonly #parsed = new Map<string, Parsed>();
  readonly #tokens: TemplateTokens;
  readonly #guards = new WeakMap<Tokenizer, Readonly<Record<Author, MarkerGuard>>>();

  constructor(sources: ReadonlyMap<string, string> | null, tokens: TemplateTokens, name: string) {
    this.name = name;
    this.#isDefault = sources === null;
    this.#sources = sources ?? new Map([['default', chatMlTemplate]]);
    const [first = ''] = this.#sources.values();
    this.source = this.#sources.get('default') ?? first;
    this.#tokens = tokens;
  }

  get error(): string | null {
    for (const name of this.#sources.keys()) {
      const parsed = this.#parse(name);
      if ('error' in parsed) return this.#sources.size > 1 ? `${name}: ${parsed.error}` : parsed.error;
    }
    return null;
  }

  #parse(name: string): Parsed {
    let parsed = this.#parsed.get(name);
    if (parsed === undefined) {
      parsed = parse(this.#sources.get(name)!);
      this.#parsed.set(name, parsed);
    }
    return parsed;
  }

  render(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): string {
    return this.#render(messages, options, (text) => text);
  }

  encode(messages: readonly ChatMessage[], tokenizer: Tokenizer, options: ChatTemplateOptions = {}) {
    const texts = [...this.#sources.values(), ...textsOf([messages, options])];
    const guard = unusedCharacter(texts);
    const guards = this.#guardsFor(tokenizer);
    const rendered = this.#render(messages, options, (text, by) => guards[by].protect(text, guard));
    // `tojson` may have been asked to write everything in ASCII, and lists print it as an escape.
    const marked = rendered.replaceAll(escapeOf(guard), guard);
    // Templates write the first token themselves, if the model wants one; ChatML has none.
    const addBos = this.#isDefault && tokenizer.addBos;
    return {
      tokens: tokenizer.encode(marked, { specialTokens: 'parse', guard, addBos }),
      text: marked.replaceAll(guard, ''),
    };
  }

  #choose({ tools, template }: ChatTemplateOptions): Exclude<Parsed, { error: string }> {
    const hasTools = tools !== undefined && tools.length > 0;
    const name = template ?? (hasTools && this.#sources.has('tool_use') ? 'tool_use' : 'default');
    if (!this.#sources.has(name))
      throw new UsageError(
        `${this.name}: option template: expected one of ${[...this.#sources.keys()].join(', ')}, found ${
          template === undefined ? 'none, and there is none called default' : JSON.stringify(template)
        }`,
      );
    const parsed = this.#parse(name);
    if (!('error' in parsed)) return parsed;
    throw new FormatError(
      `${this.name}: not a valid chat template: ${parsed.error}. ` +
        'Texts and token ids can be continued; conversations need another copy of the model or its template.',
    );
  }

  #render(messages: readonly ChatMessage[], options: ChatTemplateOptions, protect: Protect): string {
    if (messages.length === 0)
      throw new UsageError(`${this.name}: expected at least one message, found none`);
    const chosen = this.#choose(options);
    const { variables, size } = this.#variables(options, protect);
    const run = (nullAsText: boolean) => {
      const values = messages.map((message, i) =>
        messageValue(message, {
          subject: `${this.name}: messages[${i}]`,
          protect,
          takesParts: chosen.takesParts,
          nullAsText,
        }),
      );
      const inputSize = size + textsOf(messages).reduce((sum, text) => sum + text.length + 16, 0);
      return chosen.program.render(new Map([...variables, ['messages', values]]), { inputSize });
    };
    try {
      return this.#withoutNull(messages, run);
    } catch (error) {
      throw this.#said(error);
    }
  }

  /** Clients send null for the content of a message that only calls tools; templates that fail on it get a text. */
  #withoutNull(messages: readonly ChatMessage[], run: (nullAsText: boolean) => string): string {
    try {
      return run(false);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      if (!messages.some(({ content }) => content === null || content === undefined)) throw error;
      try {
        return run(true);
      } catch {
        throw error;
      }
    }
  }

  #variables(
    options: ChatTemplateOptions,
    protect: Protect,
  ): { variables: Map<string, Value>; size: number } {
    const { tools, addGenerationPrompt = true, template: _, ...extra } = options;
    const written = (text: string) => protect(text, 'written');
    const variables = new Map<string, Value>();
    const tokens = this.#tokens;
    variables.set('bos_token', tokens.bos ?? '');
    variables.set('eos_token', tokens.eos ?? '');
    if (typeof tokens.unknown === 'string') variables.set('unk_token', tokens.unknown);
    if (typeof tokens.pad === 'string') variables.set('pad_token', tokens.pad);
    variables.set('documents', null);
    for (const [key, value] of Object.entries(extra))
      if (value !== undefined) variables.set(key, toValue(value, written));
    variables.set('tools', tools === undefined || tools.length === 0 ? null : toValue(tools, written));
    variables.set('add_generation_prompt', addGenerationPrompt);
    const size = textsOf([tools, extra]).reduce((sum, text) => sum + text.length + 16, 0);
    return { variables, size };
  }

  /** What the template did, in the words of this package's errors. */
  #said(error: unknown): unknown {
    if (error instanceof Refusal)
      return new UsageError(
        `${this.name}: the chat template refuses these messages: ${error.message} (line ${error.line})`,
      );
    if (!(error instanceof TemplateError || error instanceof LimitError)) return error;
    return new FormatError(
      `${this.name}: the chat template cannot be run with these messages: ${at(error)}. ` +
        'Change the messages, or take another copy of the model or its template.',
    );
  }

  #guardsFor(tokenizer: Tokenizer): Readonly<Record<Author, MarkerGuard>> {
    let guards = this.#guards.get(tokenizer);
    if (guards !== undefined) return guards;
    const added = tokenizer.addedTokens();
    const special = added.filter((token) => token.special).map((token) => token.content);
    // Ordinary added tokens that give the template its structure, such as <tool_call>, are as good as
    // special.
    const sources = [...this.#sources.values()];
    const structure = added.filter(
      ({ special: isSpecial, content }) =>
        !isSpecial && content.length > 2 && sources.some((source) => source.includes(content)),
    );
    guards = {
      written: new MarkerGuard([...special, ...structure.map((token) => token.content)]),
      system: new MarkerGuard(special),
      assistant: new MarkerGuard(special.filter((text) => !reasoningMarkers.has(text))),
    };
    this.#guards.set(tokenizer, guards);
    return guards;
  }
}

/** Every text in a value, keys included. */
function textsOf(value: unknown): string[] {
  const texts: string[] = [];
  toValue(value, (text) => {
    texts.push(text);
    return text;
  });
  return texts;
}
