// Messages as templates read them. Clients send them in OpenAI's form, in transformers' and in this package's:
// contents as text, parts or null, calls with their arguments as an object or as JSON text, fields that only some
// templates know. Nothing is dropped and nothing is changed on the way, except what a template could not read.

import { UsageError } from '../errors.ts';
import type { JsonObject } from '../formats/types.ts';
import { toValue } from './jinja/convert.ts';
import { dumps, loadsObject } from './jinja/json.ts';
import { Budget } from './jinja/limits.ts';
import { Dict, JsonObjectText, type Value } from './jinja/values.ts';

/** A call of a tool that an assistant asked for. */
export interface ChatToolCall {
  /** Repeated by the tool's answer as `toolCallId`, where a model tells calls apart. */
  readonly id?: string | undefined;
  /** The function to call. */
  readonly name: string;
  /** An object, or JSON text of one. */
  readonly arguments: JsonObject | string;
}

/** A part of a message's content. */
export interface ChatContentPart {
  /** `text`, or what the model's template knows besides (`image`, `audio`). */
  readonly type: string;
  /** Of a text: the text. */
  readonly text?: string | undefined;
  /** Whatever else a template reads. */
  readonly [field: string]: unknown;
}

/** Who speaks. Some models know others than these, such as `document` or `ipython`. */
export type ChatRole =
  | 'system'
  | 'developer'
  | 'user'
  | 'assistant'
  | 'tool'
  | (string & Record<never, never>);

/** One message of a conversation. OpenAI's names (`tool_calls`, `tool_call_id`) are read as well. */
export interface ChatMessage {
  /** Who speaks. `tool`: the answer of a tool call. */
  readonly role: ChatRole;
  /** A text or its parts. Null, empty or left out for an assistant message that only calls tools. */
  readonly content?: string | readonly ChatContentPart[] | null | undefined;
  /** What the assistant asked to be called. */
  readonly toolCalls?: readonly ChatToolCall[] | undefined;
  /** Of a tool's answer: the call it belongs to. */
  readonly toolCallId?: string | undefined;
  /** Of a tool's answer: the tool. */
  readonly name?: string | undefined;
  /** Of an assistant message: its thoughts, for templates that keep them apart (`reasoning_content`). */
  readonly reasoning?: string | undefined;
  /** Whatever else the model's template reads. */
  readonly [field: string]: unknown;
}

/** Who wrote a text decides which markers it may hold; `guard.ts` has the details. */
export type Author = 'written' | 'system' | 'assistant';
export type Protect = (text: string, by: Author) => string;

export interface MessageOptions {
  /** For messages: `model: chat template: messages[3]`. */
  readonly subject: string;
  readonly protect: Protect;
  /** The template walks contents that come in parts. */
  readonly takesParts: boolean;
  /** Takes an empty text in place of null, for templates that fail on null. */
  readonly nullAsText: boolean;
}

const ROLES: ReadonlySet<string> = new Set(['system', 'developer', 'user', 'assistant', 'tool']);

const CALLS: ReadonlySet<string> = new Set(['toolCalls', 'tool_calls']);

/** Throws UsageError for what is no message, or holds parts that the template cannot say. */
export function messageValue(message: ChatMessage, options: MessageOptions): Dict {
  const { subject, protect } = options;
  if (typeof message !== 'object' || message === null)
    throw new UsageError(
      `${subject}: expected { role, content }, found ${message === null ? 'null' : typeof message}`,
    );
  const { role } = message;
  if (typeof role !== 'string' || role === '')
    throw new UsageError(
      `${subject}.role: expected ${[...ROLES].join(', ')} or another name, found ${JSON.stringify(role)}`,
    );
  const written = (text: string) => protect(text, 'written');
  const by: Author =
    role === 'assistant' ? 'assistant' : role === 'system' || role === 'developer' ? 'system' : 'written';
  const dict = new Dict();
  // In the order that they came in: templates print messages and calls whole.
  for (const [key, value] of Object.entries(message)) {
    if (value === undefined) continue;
    if (key === 'role') dict.set('role', ROLES.has(role) ? role : written(role));
    else if (key === 'content') setContent(dict, contentValue(message, by, options));
    else if (CALLS.has(key)) addCalls(dict, message.toolCalls ?? message.tool_calls, written);
    else if (key === 'toolCallId') dict.set('tool_call_id', toValue(value, written));
    else if (key !== 'reasoning')
      dict.set(written(key), toValue(value, THOUGHTS.includes(key) ? (text) => protect(text, by) : written));
  }
  if (!dict.has('content')) setContent(dict, contentValue(message, by, options));
  addThoughts(dict, message, (text) => protect(text, by));
  return dict;
}

function setContent(dict: Dict, content: Value | undefined): void {
  if (content !== undefined) dict.set('content', content);
}

// ---- content ----

function contentValue(
  { content }: ChatMessage,
  by: Author,
  { subject, protect, takesParts, nullAsText }: MessageOptions,
): Value | undefined {
  if (content === undefined || content === null) return nullAsText ? '' : content;
  if (typeof content === 'string') return protect(content, by);
  if (!Array.isArray(content))
    throw new UsageError(`${subject}.content: expected a text, parts or null, found ${typeof content}`);
  const parts: readonly unknown[] = content;
  if (takesParts) return parts.map((part) => toValue(part, (text) => protect(text, by)));
  const texts = parts.map((part, i) => partText(part, `${subject}.content[${i}]`));
  return protect(texts.join('\n'), by);
}

const TEXT_TYPES: ReadonlySet<unknown> = new Set(['text', 'input_text', 'output_text', undefined]);

/** The text of a part, for templates that take one text. */
function partText(part: unknown, subject: string): string {
  if (typeof part === 'string') return part;
  const { type, text } = (typeof part === 'object' ? (part ?? {}) : {}) as { type?: unknown; text?: unknown };
  if (TEXT_TYPES.has(type) && typeof text === 'string') return text;
  const found = type === undefined || TEXT_TYPES.has(type) ? 'one without a text' : JSON.stringify(type);
  throw new UsageError(
    `${subject}: expected a part of type "text", which is all that this model's chat template takes, found ${found}`,
  );
}

// ---- thoughts ----

/** What thoughts are called; the first is the one that templates read, gpt-oss's and LFM2.5's the second. */
const THOUGHTS = ['reasoning_content', 'thinking', 'reasoning'];

/** As transformers: every name that a template may read has them. */
function addThoughts(dict: Dict, message: ChatMessage, rewrite: (text: string) => string): void {
  const given = THOUGHTS.map((name) => message[name]).find((value) => value !== undefined && value !== null);
  if (message.reasoning !== undefined) dict.set('reasoning', toValue(message.reasoning, rewrite));
  if (given === undefined) return;
  const thoughts = toValue(given, rewrite);
  if (!dict.has('thinking')) dict.set('thinking', thoughts);
  dict.set('reasoning_content', thoughts);
}

// ---- calls ----

/** OpenAI's form, whichever the calls came in. An empty list is passed on as one. */
function addCalls(dict: Dict, calls: unknown, rewrite: (text: string) => string): void {
  const list = Array.isArray(calls) ? (calls as readonly unknown[]) : null;
  if (list === null) {
    dict.set('tool_calls', toValue(calls, rewrite));
    return;
  }
  dict.set(
    'tool_calls',
    list.map((call) => callValue(call, rewrite)),
  );
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function callValue(call: unknown, rewrite: (text: string) => string): Value {
  if (!isObject(call)) return toValue(call, rewrite);
  if (isObject(call.function)) {
    const dict = new Dict();
    if (call.type === undefined) dict.set('type', 'function');
    for (const [key, value] of Object.entries(call))
      if (key === 'function')
        dict.set(key, functionValue(value as Readonly<Record<string, unknown>>, rewrite));
      else if (value !== undefined) dict.set(rewrite(key), toValue(value, rewrite));
    return dict;
  }
  const { id, name, arguments: args, ...rest } = call;
  const dict = new Dict();
  if (id !== undefined) dict.set('id', toValue(id, rewrite));
  dict.set('type', 'function');
  dict.set('function', functionValue({ name, arguments: args }, rewrite));
  for (const [key, value] of (toValue(rest, rewrite) as Dict).entries()) dict.set(key, value);
  return dict;
}

function functionValue(called: Readonly<Record<string, unknown>>, rewrite: (text: string) => string): Dict {
  const dict = new Dict();
  for (const [key, value] of Object.entries(called))
    if (key === 'arguments' && value !== undefined) dict.set(key, argumentsValue(value, rewrite));
    else if (value !== undefined) dict.set(rewrite(key), toValue(value, rewrite));
  return dict;
}

const WRITTEN_OUT = {
  ensureAscii: false,
  indent: null,
  itemSeparator: ', ',
  keySeparator: ': ',
  sortKeys: false,
};

/** An object that joins texts as the JSON text that it came as, or is. Text that holds no object stays text. */
function argumentsValue(args: unknown, rewrite: (text: string) => string): Value {
  if (typeof args === 'string') {
    const parsed = args.trim() === '' ? new Dict() : loadsObject(args, rewrite);
    return parsed === null ? rewrite(args) : new JsonObjectText(parsed, () => rewrite(args), true);
  }
  const value = toValue(args, rewrite);
  if (!(value instanceof Dict)) return value;
  return new JsonObjectText(value, () => dumps(value, WRITTEN_OUT, new Budget()), false);
}
