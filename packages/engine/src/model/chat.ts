// A conversation: the messages, and the session that holds what was read of them. The messages are the truth;
// the session is brought in line with them when the next answer begins, and evaluates only what it does not
// hold yet.

import { StateError, UsageError } from '../errors.ts';
import type { JsonObject, JsonValue } from '../formats/types.ts';
import type { Generation } from '../generate/generation.ts';
import { refuseUnknown } from '../generate/options.ts';
import type { GenerateOptions } from '../generate/types.ts';
import type { SaveTarget } from '../state/save-state.ts';
import type { ChatMessage } from '../tokenizer/chat-messages.ts';
import { type AbortOptions, coreOfSession, type Session, timelineOf } from './session.ts';

/** What a chat begins with. */
export interface ChatOptions {
  /** The system message. Default: none, or what the template writes by itself. */
  readonly system?: string | undefined;
  /** Messages that have been exchanged before, after the system message. */
  readonly messages?: readonly ChatMessage[] | undefined;
  /**
   * JSON schemas of functions that the model may call, as in OpenAI's API. Calls come as text of the answer.
   */
  readonly tools?: readonly JsonObject[] | undefined;
  /** Further variables of the chat template, such as `enable_thinking` or `documents`. Default: none. */
  readonly variables?: JsonObject | undefined;
  /** Options of every answer. Those of a single call win. */
  readonly defaults?: GenerateOptions | undefined;
}

/** What a conversation begins with. */
interface ChatParts {
  /** From first to last; a system message comes first. */
  readonly messages: readonly ChatMessage[];
  /** JSON schemas of functions, for the chat template. */
  readonly tools: readonly JsonObject[];
  /** Further variables of the chat template. */
  readonly variables: JsonObject;
  /** Options of every answer that does not say otherwise. */
  readonly defaults: GenerateOptions;
}

/**
 * A conversation with a model, made by `model.createChat()`. An answer becomes a message when it ends, also
 * when it was stopped half-way; one that was stopped or failed before its first token changes nothing.
 *
 * @example
 * using chat = model.createChat({ system: 'Answer in one sentence.' });
 * for await (const { text } of chat.send('Why do marimbas have resonators?')) process.stdout.write(text);
 * await chat.saveTo('talk.chat'); // model.restoreChatFrom('talk.chat') continues where it stopped
 */
export class Chat implements Disposable {
  readonly #session: Session;
  readonly #defaults: GenerateOptions;
  readonly #variables: JsonObject;
  #tools: readonly JsonObject[];
  #messages: readonly ChatMessage[];

  /** Made by `model.createChat()`. */
  constructor(session: Session, { messages, tools, variables, defaults }: ChatParts) {
    this.#session = session;
    this.#variables = variables;
    this.#messages = [...messages];
    this.#tools = [...tools];
    this.#defaults = defaults;
  }

  /** All messages in order, the system message included. */
  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /** The schemas of the functions that the model may call. */
  get tools(): readonly JsonObject[] {
    return this.#tools;
  }

  /** Further variables of the chat template. */
  get variables(): JsonObject {
    return this.#variables;
  }

  /**
   * The system message; null when there is none. Setting it holds from the next answer on, which evaluates
   * all messages again.
   */
  get system(): string | null {
    const first = this.#messages[0];
    return first?.role === 'system' ? textOf(first) : null;
  }

  set system(text: string | null) {
    this.#assertFree();
    const rest = this.#messages.slice(this.system === null ? 0 : 1);
    this.#messages = text === null ? rest : [{ role: 'system', content: text }, ...rest];
  }

  /** How many messages of the user there are. */
  get turns(): number {
    return this.#messages.filter(({ role }) => role === 'user').length;
  }

  /** The session underneath, for its figures. What is done to it directly is undone by the next answer. */
  get session(): Session {
    return this.#session;
  }

  /**
   * Appends the user's message (or any messages: results of tools, say) and answers. The messages join the
   * chat when the generation starts. Throws UsageError for messages that the model's template refuses.
   */
  send(input: string | ChatMessage | readonly ChatMessage[], options: GenerateOptions = {}): Generation {
    return this.#answer([...this.#messages, ...messagesOf(input)], options);
  }

  /**
   * Replaces the last answer by another one, without evaluating the conversation again. Throws UsageError
   * when there is none.
   */
  regenerate(options: GenerateOptions = {}): Generation {
    const last = this.#messages.findLastIndex(({ role }) => role !== 'assistant');
    const asked = this.#messages
      .slice(0, last + 1)
      .some(({ role }) => role !== 'system' && role !== 'developer');
    if (!asked) throw new UsageError('there is no answer to regenerate yet: send a message first');
    return this.#answer(this.#messages.slice(0, last + 1), options);
  }

  /**
   * Replaces the user's message at `index` of `messages`, drops everything after it, and answers. Evaluates
   * from the first token that differs, or from the nearest checkpoint before it.
   */
  edit(index: number, content: string, options: GenerateOptions = {}): Generation {
    const message = this.#messages[index];
    if (message?.role !== 'user')
      throw new UsageError(
        `index: expected the place of a user's message, found ${index} (${message?.role ?? 'none'})`,
      );
    return this.#answer([...this.#messages.slice(0, index), { ...message, content }], options);
  }

  /**
   * Takes back the last turns: the user's message and all that follows it. Throws UsageError for more than
   * there are.
   */
  rewind(turns = 1): void {
    this.#assertFree();
    if (!Number.isInteger(turns) || turns < 0 || turns > this.turns)
      throw new UsageError(`turns: expected a whole number from 0 to ${this.turns}, found ${turns}`);
    let messages = this.#messages;
    for (let i = 0; i < turns; i++)
      messages = messages.slice(
        0,
        messages.findLastIndex(({ role }) => role === 'user'),
      );
    this.#messages = messages;
  }

  /** A second conversation from here on. Copies the recurrent state at most. */
  fork(): Chat {
    const { messages, tools, variables } = this;
    return new Chat(this.#session.fork(), { messages, tools, variables, defaults: this.#defaults });
  }

  /**
   * Messages, tools and state as bytes, for `model.restoreChat`: a saved session whose `data` are the
   * messages.
   */
  save(): Uint8Array {
    return this.#session.save({ data: this.#data() });
  }

  /** Writes the same to a path (Node), a file handle or a stream, for `model.restoreChatFrom`. */
  async saveTo(target: SaveTarget, { signal }: AbortOptions = {}): Promise<void> {
    await this.#session.saveTo(target, { data: this.#data(), signal });
  }

  /** Gives the memory of its session back. Throws UsageError while an answer is generated. */
  close(): void {
    this.#session.close();
  }

  /** `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #answer(messages: readonly ChatMessage[], options: GenerateOptions): Generation {
    const before = this.#messages;
    const tools = this.#tools.length ? this.#tools : undefined;
    const prompt = { messages, tools, variables: this.#variables };
    const chosen = Object.entries(options ?? {}).filter(([, value]) => value !== undefined);
    const merged = options === null ? options : { ...this.#defaults, ...Object.fromEntries(chosen) };
    return coreOfSession(this.#session).generate(timelineOf(this.#session), prompt, merged, {
      begun: () => {
        if (this.#messages !== before)
          throw new UsageError('chat has changed since this answer was asked for: ask again');
        this.#messages = messages;
      },
      ended: ({ tokens, text }) => {
        this.#messages = tokens.length ? [...messages, { role: 'assistant', content: text }] : before;
      },
    });
  }

  #data(): JsonValue {
    return JSON.parse(
      JSON.stringify({
        chat: { messages: this.#messages, tools: this.#tools, variables: this.#variables },
      }),
    ) as JsonValue;
  }

  #assertFree(): void {
    timelineOf(this.#session).assertFree();
  }
}

/** Throws UsageError for options that do not exist or are of the wrong type. */
export function checkChatOptions(options: ChatOptions): void {
  if (typeof options !== 'object' || options === null)
    throw new UsageError(`options: expected an object, found ${options}`);
  const known = { system: true, messages: true, tools: true, variables: true, defaults: true } as const;
  refuseUnknown('option', options, known);
  const { system, messages, tools, variables } = options;
  if (system !== undefined && typeof system !== 'string')
    throw new UsageError(`option system: expected text, found ${typeof system}`);
  if (messages !== undefined && !Array.isArray(messages))
    throw new UsageError(`option messages: expected an array of messages, found ${typeof messages}`);
  if (messages?.length) messagesOf(messages);
  if (tools !== undefined && !Array.isArray(tools))
    throw new UsageError(`option tools: expected an array of JSON schemas, found ${typeof tools}`);
  if (variables !== undefined && !isObject(variables))
    throw new UsageError(`option variables: expected an object, found ${typeof variables}`);
}

/** The chat that a restored session was saved as. */
export function chatOf(session: Session, defaults: GenerateOptions): Chat {
  try {
    return new Chat(session, { ...parseChat(session.data), defaults });
  } catch (error) {
    session.close();
    throw error;
  }
}

function messagesOf(input: unknown): readonly ChatMessage[] {
  const list = typeof input === 'string' ? [{ role: 'user', content: input }] : [input].flat();
  if (!list.length) throw new UsageError('messages: expected at least one, found none');
  const wrong = list.findIndex((message) => !isMessage(message));
  if (wrong >= 0)
    throw new UsageError(
      `message ${wrong + 1} of ${list.length}: expected text or { role, content } ` +
        'with a role such as system, user, assistant or tool, and a text, its parts or null as content',
    );
  return list as readonly ChatMessage[];
}

function parseChat(data: JsonValue | null): Omit<ChatParts, 'defaults'> {
  const chat = isObject(data) ? data.chat : undefined;
  if (!isObject(chat))
    throw new StateError('the saved session is not a chat: restore it with restoreSession');
  const { messages, tools, variables = {} } = chat;
  if (!Array.isArray(messages) || !messages.every(isMessage))
    throw new StateError('saved chat: expected messages with role and content, found others');
  if (!Array.isArray(tools) || !tools.every(isObject))
    throw new StateError('saved chat: expected JSON schemas as tools, found others');
  if (!isObject(variables)) throw new StateError('saved chat: expected variables as an object, found others');
  return { messages: messages as unknown as ChatMessage[], tools, variables };
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Clients write null for what a message has not. */
const isOptionalText = (value: unknown): boolean =>
  value === undefined || value === null || typeof value === 'string';

/** The text of a message, whether it came whole or in parts. */
function textOf({ content }: ChatMessage): string {
  if (typeof content === 'string') return content;
  return (content ?? []).flatMap(({ text }) => text ?? []).join('\n');
}

const isContent = (value: unknown): boolean =>
  typeof value === 'string' ||
  value === null ||
  (Array.isArray(value) && value.every((part) => typeof part === 'string' || isObject(part)));

const isMessage = (value: unknown): boolean =>
  isObject(value) &&
  typeof value.role === 'string' &&
  value.role !== '' &&
  (value.content === undefined ? value.role === 'assistant' : isContent(value.content)) &&
  [value.toolCallId, value.name, value.reasoning].every(isOptionalText) &&
  (value.toolCalls === undefined ||
    value.toolCalls === null ||
    (Array.isArray(value.toolCalls) && value.toolCalls.every(isToolCall)));

const isToolCall = (value: unknown): boolean =>
  isObject(value) &&
  isOptionalText(value.id) &&
  typeof value.name === 'string' &&
  (typeof value.arguments === 'string' || isObject(value.arguments));
