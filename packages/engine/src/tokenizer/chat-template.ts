// Conversations → tokens, with the model's own chat template. The template's markers become their tokens; the
// same markers in what people or tools wrote stay plain text (see guard.ts). The variables are those of
// transformers' `apply_chat_template`.

import { UsageError } from '../errors.ts';
import type { JsonObject, JsonValue } from '../formats/types.ts';
import { escapeOf, MarkerGuard, unusedCharacter } from './guard.ts';
import { TemplateProgram } from './template-runtime.ts';
import type { Tokenizer } from './types.ts';

/** A call of a tool that an assistant asked for. */
export interface ChatToolCall {
  /** Repeated by the tool's answer as `toolCallId`, where a model tells calls apart. */
  readonly id?: string | undefined;
  /** The function to call. */
  readonly name: string;
  /** An object, or JSON text of one. */
  readonly arguments: JsonObject | string;
}

/** One message of a conversation. */
export interface ChatMessage {
  /** Who speaks. `tool`: the answer of a tool call. */
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  /** The text; empty for an assistant message that only calls tools. */
  readonly content: string;
  /** What the assistant asked to be called. */
  readonly toolCalls?: readonly ChatToolCall[] | undefined;
  /** Of a tool's answer: the call it belongs to, and the tool. */
  readonly toolCallId?: string | undefined;
  /** Of a tool's answer: the tool. */
  readonly name?: string | undefined;
  /** Of an assistant message: its thoughts, for templates that keep them apart (`reasoning_content`). */
  readonly reasoning?: string | undefined;
}

export interface ChatTemplateOptions {
  /** JSON schemas of functions, as in OpenAI's API. */
  readonly tools?: readonly JsonObject[] | undefined;
  /** Ends with the opening of the assistant's turn. Default: true. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** Further variables of the template, such as `enable_thinking`. */
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
  /** The template itself, in Jinja. */
  readonly source: string;
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
 * `source` null: ChatML. `name`: of the file, for messages. Throws FormatError where the template is not
 * valid.
 */
export function createChatTemplate(
  source: string | null,
  tokens: TemplateTokens,
  name: string,
): ChatTemplate {
  return new JinjaChatTemplate(source, tokens, name);
}

/**
 * Thoughts that the assistant wrote are its own: templates cut them out of earlier turns by these markers.
 */
const reasoningMarkers = new Set(['<think>', '</think>']);

const roles = new Set<unknown>(['system', 'user', 'assistant', 'tool']);

/** `written` by people and tools; `own` words of the assistant and of who set the model up. */
interface Guards {
  readonly written: MarkerGuard;
  readonly system: MarkerGuard;
  readonly assistant: MarkerGuard;
}

class JinjaChatTemplate implements ChatTemplate {
  readonly name: string;
  readonly source: string;
  readonly #isDefault: boolean;
  readonly #program: TemplateProgram;
  readonly #tokens: TemplateTokens;
  readonly #guards = new WeakMap<Tokenizer, Guards>();

  constructor(source: string | null, tokens: TemplateTokens, name: string) {
    this.name = name;
    this.#isDefault = source === null;
    this.source = source ?? chatMlTemplate;
    this.#tokens = tokens;
    this.#program = new TemplateProgram(this.source, name);
  }

  render(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): string {
    return this.#render(messages, options, (text) => text);
  }

  encode(messages: readonly ChatMessage[], tokenizer: Tokenizer, options: ChatTemplateOptions = {}) {
    const { tools, addGenerationPrompt: _, ...extra } = options;
    const guard = unusedCharacter([this.source, ...collectTexts([messages, tools, extra])]);
    const guards = this.#guardsFor(tokenizer);
    const rendered = this.#render(messages, options, (text, by) => guards[by].protect(text, guard));
    // `tojson` may have been asked to write everything in ASCII.
    const marked = rendered.replaceAll(escapeOf(guard), guard);
    // Templates write the first token themselves, if the model wants one; ChatML has none.
    const addBos = this.#isDefault && tokenizer.addBos;
    return {
      tokens: tokenizer.encode(marked, { specialTokens: 'parse', guard, addBos }),
      text: marked.replaceAll(guard, ''),
    };
  }

  #render(messages: readonly ChatMessage[], options: ChatTemplateOptions, protect: Protect): string {
    const { tools, addGenerationPrompt = true, ...extra } = options;
    if (messages.length === 0)
      throw new UsageError(`${this.name}: expected at least one message, found none`);
    const written = (text: string) => protect(text, 'written');
    return this.#program.render({
      ...(mapTexts(extra, written) as Record<string, unknown>),
      messages: messages.map((message, i) => this.#message(message, i, protect)),
      tools: tools === undefined || tools.length === 0 ? null : mapTexts(tools, written),
      add_generation_prompt: addGenerationPrompt,
      bos_token: this.#tokens.bos ?? '',
      eos_token: this.#tokens.eos ?? '',
      unk_token: this.#tokens.unknown ?? '',
      pad_token: this.#tokens.pad ?? '',
    });
  }

  #message(message: ChatMessage, index: number, protect: Protect): Record<string, unknown> {
    const { role, content, toolCalls, toolCallId, name, reasoning } = message;
    const subject = `${this.name}: messages[${index}]`;
    if (!roles.has(role))
      throw new UsageError(
        `${subject}.role: expected ${[...roles].join(', ')}, found ${JSON.stringify(role)}`,
      );
    if (typeof content !== 'string')
      throw new UsageError(`${subject}.content: expected a text, found ${typeof content}`);
    const by = role === 'assistant' || role === 'system' ? role : 'written';
    const written = (text: string) => protect(text, 'written');
    const out: Record<string, unknown> = { role, content: protect(content, by) };
    if (reasoning !== undefined) {
      out.reasoning_content = protect(reasoning, 'assistant');
      out.thinking = out.reasoning_content; // what gpt-oss and LFM2.5 read
    }
    if (name !== undefined) out.name = written(name);
    if (toolCallId !== undefined) out.tool_call_id = written(toolCallId);
    if (toolCalls !== undefined && toolCalls.length > 0) {
      out.tool_calls = toolCalls.map((call) => ({
        ...(call.id === undefined ? {} : { id: written(call.id) }),
        type: 'function',
        function: { name: written(call.name), arguments: mapTexts(callArguments(call), written) },
      }));
    }
    return out;
  }

  #guardsFor(tokenizer: Tokenizer): Guards {
    let guards = this.#guards.get(tokenizer);
    if (guards !== undefined) return guards;
    const added = tokenizer.addedTokens();
    const special = added.filter((token) => token.special).map((token) => token.content);
    // Ordinary added tokens that give the template its structure, such as <tool_call>, are as good as
    // special.
    const structure = added.filter(
      (token) => !token.special && token.content.length > 2 && this.source.includes(token.content),
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

type Protect = (text: string, by: keyof Guards) => string;

/** Templates expect an object: text would be quoted once more by `tojson`. */
function callArguments(call: ChatToolCall): JsonObject | string {
  if (typeof call.arguments !== 'string') return call.arguments;
  try {
    const parsed = JSON.parse(call.arguments) as JsonValue;
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? parsed : call.arguments;
  } catch {
    return call.arguments;
  }
}

const DEEPEST = 64;

/** The same value with every text in it, keys included, rewritten. Functions and the like are left out. */
function mapTexts(value: unknown, rewrite: (text: string) => string, depth = 0): unknown {
  if (depth > DEEPEST) throw new UsageError(`chat template: expected values nested at most ${DEEPEST} deep`);
  if (typeof value === 'string') return rewrite(value);
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, rewrite, depth + 1));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [rewrite(key), mapTexts(item, rewrite, depth + 1)]),
    );
  }
  return typeof value === 'number' || typeof value === 'boolean' ? value : null;
}

function collectTexts(value: unknown): string[] {
  const texts: string[] = [];
  mapTexts(value, (text) => {
    texts.push(text);
    return text;
  });
  return texts;
}
