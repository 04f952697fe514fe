// A conversation with a model and the session that holds its state. With a chat template the messages are the truth and
// the session is brought in line with them, reusing what it has read; without one, turns are appended as they are.
import {
  type ChatMessage,
  type GenerateEvent,
  type GenerateOptions,
  type GenerateResult,
  type Generation,
  type Model,
  type Session,
  UsageError,
} from '@marimba/engine';
import { encodeHeader, readHeader } from './file.ts';

/** Where a turn without template began, so that it can be taken back. */
interface Turn {
  readonly position: number;
  readonly input: readonly number[];
}

export class Conversation {
  readonly model: Model;
  #session: Session;
  #messages: ChatMessage[] = [];
  #turns: Turn[] = [];
  #last: GenerateResult | null = null;
  readonly #startsAnew: (line: string) => boolean;

  /** `startsAnew`: lines that, continued as text, have nothing to do with the text before them. */
  constructor(model: Model, startsAnew: (line: string) => boolean = () => false) {
    this.model = model;
    this.#startsAnew = startsAnew;
    this.#session = model.createSession();
  }

  /** Text through a template, text as it is, or bare token ids. */
  get mode(): 'chat' | 'text' | 'tokens' {
    if (!this.model.tokenizer) return 'tokens';
    return this.model.chatTemplate ? 'chat' : 'text';
  }

  get position(): number {
    return this.#session.position;
  }

  get last(): GenerateResult | null {
    return this.#last;
  }

  get turnCount(): number {
    return this.mode === 'chat'
      ? this.#messages.filter(({ role }) => role === 'user').length
      : this.#turns.length;
  }

  setSystem(text: string): void {
    if (this.mode !== 'chat')
      throw new UsageError('/system: expected a model with a chat template, found none');
    const rest = this.#messages.filter(({ role }) => role !== 'system');
    this.#messages = text ? [{ role: 'system', content: text }, ...rest] : rest;
  }

  /** Answers a line of input. Events as in `session.generate`. */
  async *send(input: string, options: GenerateOptions): AsyncGenerator<GenerateEvent> {
    if (this.mode === 'chat') {
      this.#messages.push({ role: 'user', content: input });
      return yield* this.#answer(options);
    }
    const tokens = this.mode === 'text' ? this.#textTokens(input) : parseTokens(input);
    this.#turns.push({ position: this.position, input: tokens });
    return yield* this.#append(tokens, options);
  }

  /** Another answer to the last input. */
  async *regenerate(options: GenerateOptions): AsyncGenerator<GenerateEvent> {
    if (this.turnCount === 0)
      throw new UsageError('/regenerate: expected an answer to replace, found none yet');
    if (this.mode === 'chat') {
      while (this.#messages.at(-1)?.role !== 'user') this.#messages.pop();
      return yield* this.#answer(options);
    }
    const turn = this.#turns.at(-1)!;
    await this.#backTo(turn);
    return yield* this.#append(turn.input, options);
  }

  /** Takes back the last `count` turns. */
  async rewind(count: number): Promise<void> {
    if (count < 1 || count > this.turnCount)
      throw new UsageError(`/rewind: expected 1 to ${this.turnCount} turns, found ${count}`);
    for (let i = 0; i < count; i++) {
      if (this.mode === 'chat') {
        while (this.#messages.at(-1)?.role !== 'user') this.#messages.pop();
        this.#messages.pop();
      } else {
        await this.#backTo(this.#turns.pop()!);
      }
    }
    this.#last = null;
  }

  /** Forgets everything but the system message. */
  startAnew(): void {
    this.#session.close();
    this.#session = this.model.createSession();
    this.#messages = this.#messages.filter(({ role }) => role === 'system');
    this.#turns = [];
    this.#last = null;
  }

  async save(path: string): Promise<void> {
    const header = {
      model: this.model.name,
      messages: this.#messages,
      turns: this.#turns,
    };
    await this.#session.saveTo(path, { preface: encodeHeader(header) });
  }

  /** Replaces everything by what `save` wrote. Throws, and changes nothing, for a file of another model or a damaged one. */
  async load(path: string): Promise<void> {
    const { header, offset } = await readHeader(path);
    const session = await this.model.restoreSessionFrom(path, { offset });
    this.#session.close();
    this.#session = session;
    this.#messages = [...header.messages];
    this.#turns = [...header.turns];
    this.#last = null;
  }

  async *#answer(options: GenerateOptions): AsyncGenerator<GenerateEvent> {
    const before = this.#messages.length;
    const generation = this.#session.generate({ messages: this.#messages }, options);
    try {
      yield* this.#follow(generation);
    } finally {
      // A failed answer leaves no question behind.
      if (generation.tokens.length) this.#messages.push({ role: 'assistant', content: generation.text });
      else this.#messages.length = before - 1;
    }
  }

  /** The events of an answer; afterwards its result is the last one, or null where it was stopped. */
  async *#follow(generation: Generation): AsyncGenerator<GenerateEvent> {
    this.#last = null;
    yield* generation;
    this.#last = await generation.result.catch(() => null);
  }

  /** A line that goes on with the text, as another word. After an end token it is another text. */
  #textTokens(line: string): number[] {
    if (this.#last?.stopToken !== undefined || this.#startsAnew(line)) this.startAnew();
    const follows = this.#turns.length > 0 && /^[\p{L}\p{N}]/u.test(line);
    return [...this.model.encode(follows ? ` ${line}` : line, this.position)];
  }

  async *#append(tokens: readonly number[], options: GenerateOptions): AsyncGenerator<GenerateEvent> {
    yield* this.#follow(this.#session.generate(tokens, options));
  }

  async #backTo(turn: Turn): Promise<void> {
    await this.#session.rewind(turn.position);
  }
}

function parseTokens(input: string): number[] {
  const parts = input.split(/[\s,]+/).filter(Boolean);
  if (!parts.length || !parts.every((part) => /^\d+$/.test(part)))
    throw new UsageError(
      `this model has no tokenizer: expected token ids such as "1 2 3", found ${JSON.stringify(input)}`,
    );
  return parts.map(Number);
}
