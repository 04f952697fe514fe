// What the chat loop talks to: a chat through the model's template, or a text that grows line by line where
// there is none.
import {
  type Chat,
  type GenerateOptions,
  type Generation,
  type JsonValue,
  type Model,
  type Session,
  StateError,
  UsageError,
} from '@marimba/engine';

export interface Conversation {
  readonly model: Model;
  /** Text through a template, text as it is, or bare token ids. */
  readonly mode: 'chat' | 'text' | 'tokens';
  /** Tokens that its session holds. */
  readonly position: number;
  readonly turnCount: number;
  /** The latest answer; null before the first, and after anything that takes it back. */
  readonly last: Generation | null;
  setSystem(text: string): void;
  /** Answers a line of input. */
  send(input: string, options: GenerateOptions): Promise<Generation>;
  /** Another answer to the last input. */
  regenerate(options: GenerateOptions): Promise<Generation>;
  /** Takes back the last `count` turns. */
  rewind(count: number): Promise<void>;
  /** Forgets everything but the system message. */
  startAnew(): void;
  save(path: string): Promise<void>;
  /**
   * Replaces everything by what `save` wrote. Throws, and changes nothing, for a file of another model or a
   * damaged one.
   */
  load(path: string): Promise<void>;
}

/** `startsAnew`: lines that, continued as text, have nothing to do with the text before them. */
export function createConversation(model: Model, startsAnew: (line: string) => boolean): Conversation {
  return model.chatTemplate ? new ChatConversation(model) : new TextConversation(model, startsAnew);
}

class ChatConversation implements Conversation {
  readonly model: Model;
  readonly mode = 'chat';
  last: Generation | null = null;
  #chat: Chat;

  constructor(model: Model) {
    this.model = model;
    this.#chat = model.createChat();
  }

  get position(): number {
    return this.#chat.session.position;
  }

  get turnCount(): number {
    return this.#chat.turns;
  }

  setSystem(text: string): void {
    this.#chat.system = text || null;
  }

  async send(input: string, options: GenerateOptions): Promise<Generation> {
    return (this.last = this.#chat.send(input, options));
  }

  async regenerate(options: GenerateOptions): Promise<Generation> {
    return (this.last = this.#chat.regenerate(options));
  }

  async rewind(count: number): Promise<void> {
    this.#chat.rewind(count);
    this.last = null;
  }

  startAnew(): void {
    this.#replace(this.model.createChat({ system: this.#chat.system ?? undefined }));
  }

  save(path: string): Promise<void> {
    return this.#chat.saveTo(path);
  }

  async load(path: string): Promise<void> {
    this.#replace(await this.model.restoreChatFrom(path));
  }

  #replace(chat: Chat): void {
    this.#chat.close();
    this.#chat = chat;
    this.last = null;
  }
}

/** Where a turn began, so that it can be taken back, and what was put in. */
interface Turn {
  readonly position: number;
  readonly input: readonly number[];
}

class TextConversation implements Conversation {
  readonly model: Model;
  last: Generation | null = null;
  readonly #startsAnew: (line: string) => boolean;
  #session: Session;
  #turns: Turn[] = [];

  constructor(model: Model, startsAnew: (line: string) => boolean) {
    this.model = model;
    this.#startsAnew = startsAnew;
    this.#session = model.createSession();
  }

  get mode(): 'text' | 'tokens' {
    return this.model.tokenizer ? 'text' : 'tokens';
  }

  get position(): number {
    return this.#session.position;
  }

  get turnCount(): number {
    return this.#turns.length;
  }

  setSystem(): void {
    throw new UsageError('/system: this model has no chat template, so there is no system message');
  }

  async send(input: string, options: GenerateOptions): Promise<Generation> {
    const tokens = this.mode === 'text' ? this.#textTokens(input) : parseTokens(input);
    const turn = { position: this.position, input: tokens };
    const generation = this.#session.generate(tokens, options);
    this.#turns.push(turn);
    return (this.last = generation);
  }

  async regenerate(options: GenerateOptions): Promise<Generation> {
    const turn = this.#turns.at(-1);
    if (!turn) throw new UsageError('/regenerate: there is no answer to replace yet');
    await this.#session.rewind(turn.position);
    return (this.last = this.#session.generate(turn.input, options));
  }

  async rewind(count: number): Promise<void> {
    const [first] = this.#turns.slice(-count);
    if (first) await this.#session.rewind(first.position);
    this.#turns = this.#turns.slice(0, -count);
    this.last = null;
  }

  startAnew(): void {
    this.#replace(this.model.createSession(), []);
  }

  async save(path: string): Promise<void> {
    const turns = this.#turns.map(({ position, input }) => ({ position, input: [...input] }));
    await this.#session.saveTo(path, { data: { turns } });
  }

  async load(path: string): Promise<void> {
    const session = await this.model.restoreSessionFrom(path);
    try {
      this.#replace(session, parseTurns(session.data, session.position, path));
    } catch (error) {
      session.close();
      throw error;
    }
  }

  #replace(session: Session, turns: Turn[]): void {
    this.#session.close();
    this.#session = session;
    this.#turns = turns;
    this.last = null;
  }

  /** A line that continues the text, as another word. After an end token it is another text. */
  #textTokens(line: string): readonly number[] {
    const end = this.#session.tokens.at(-1);
    if ((end !== undefined && this.model.endTokens.includes(end)) || this.#startsAnew(line)) this.startAnew();
    const follows = this.#turns.length > 0 && /^[\p{L}\p{N}]/u.test(line);
    return this.model.encode(follows ? ` ${line}` : line, this.position);
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

function parseTurns(data: JsonValue | null, length: number, path: string): Turn[] {
  const turns = typeof data === 'object' && data !== null && 'turns' in data ? data.turns : null;
  if (!Array.isArray(turns))
    throw new StateError(`${path}: expected a text that /save wrote, found another kind of saved session`);
  return turns.map((turn) => {
    const { position, input } = { ...(turn as object) } as Record<string, unknown>;
    if (!isCount(position) || position > length || !Array.isArray(input) || !input.every(isCount))
      throw new StateError(`${path}: expected turns with a position and token ids, found others`);
    return { position, input };
  });
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
