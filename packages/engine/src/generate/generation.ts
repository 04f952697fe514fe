// An answer under way, as an object that can be read in every way callers want: token by token, as text, or
// as a whole.
//
// Nothing runs until somebody asks for something, and then only as far as asked: events are produced when the
// next one is wanted (a slow consumer slows the model down, one that leaves ends it), `result` runs to the
// end. Every reader sees all events from the first on, whenever it comes.

import type { GenerateEvent, GenerateResult, GenerateTimings, GenerateUsage } from './types.ts';

/**
 * Text as it is generated: a ReadableStream (for `Response`, `pipeTo`) that can also be iterated in every
 * browser.
 */
export type TextStream = ReadableStream<string> & AsyncIterable<string>;

/** What produces the events. Told to end at most once, and not asked for more after that. */
export interface EventSource {
  readonly signal: AbortSignal | null;
  /** The next event; null once the last one was given out. Rejects with the signal's reason when aborted. */
  step(): Promise<GenerateEvent | null>;
  /** Makes the next step the last, which keeps what was generated. Interrupts the reading of a prompt. */
  cancel(): void;
  /** Null until it has ended. */
  readonly result: GenerateResult | null;
  readonly usage: GenerateUsage;
  readonly promptTokensRead: number;
  readonly timings: GenerateTimings;
  readonly seed: number;
}

/**
 * The answer that `session.generate` and `chat.send` return.
 *
 * - `for await (const { text } of generation)` gives one event per token; leaving the loop ends the generation.
 * - `generation.textStream` gives the text alone, as a ReadableStream that can be iterated.
 * - `await generation.result` gives the whole answer with finish reason, usage and timings.
 *
 * It starts with the first of these, never before, and can be read in several ways at once. While it runs the
 * session is busy. When the signal of its options aborts, events end, `result` rejects with the signal's
 * reason, and `text` and `tokens` keep what was generated; any other error is thrown to iterators too.
 *
 * @example
 * const generation = session.generate('Once upon a time', { maxTokens: 100 });
 * for await (const { text } of generation) process.stdout.write(text);
 * const { usage, finishReason } = await generation.result;
 */
export class Generation<Value = unknown> implements AsyncIterable<GenerateEvent>, AsyncDisposable {
  readonly #source: EventSource;
  readonly #events: GenerateEvent[] = [];
  #text = '';
  #started = false;
  #ended = false;
  /** What iterators throw. An abort ends them instead. */
  #failure: { readonly error: unknown } | null = null;
  #advancing: Promise<void> | null = null;
  #resolve: (result: GenerateResult) => void = () => {};
  #reject: (reason: unknown) => void = () => {};
  readonly #result: Promise<GenerateResult<Value>>;
  /** Later, since the step that is under way may be what aborts. */
  readonly #onAbort = () => queueMicrotask(() => void this.#drive());

  /** Made by `session.generate` and by chats. */
  constructor(source: EventSource) {
    this.#source = source;
    this.#result = new Promise((resolve, reject) => {
      // What the value is was decided by the option that `Value` is taken from.
      this.#resolve = resolve as (result: GenerateResult) => void;
      this.#reject = reject;
    });
    this.#result.catch(() => {}); // whoever asks for it is told; nobody has to ask
  }

  /** The text so far: of all events given out, or about to be. */
  get text(): string {
    return this.#text;
  }

  /** The ids of the tokens so far, end tokens included. */
  get tokens(): readonly number[] {
    return this.#events.map(({ token }) => token);
  }

  /** Token counts so far; of the prompt from the moment it is begun. */
  get usage(): GenerateUsage {
    return this.#source.usage;
  }

  /**
   * Tokens of the prompt that have been read so far, reused ones included; `usage.promptTokens` is how many
   * there are. For showing progress: it moves with each pass over the weights, some 256 tokens, while the
   * first event is awaited.
   */
  get promptTokensRead(): number {
    return this.#source.promptTokensRead;
  }

  /** Times so far. */
  get timings(): GenerateTimings {
    return this.#source.timings;
  }

  /** The seed of its samples: the one of the options, or a random one. */
  get seed(): number {
    return this.#source.seed;
  }

  /**
   * Runs the generation to its end, whether anybody reads its events or not, and resolves to what it came to.
   */
  get result(): Promise<GenerateResult<Value>> {
    void this.#drive();
    return this.#result;
  }

  /**
   * The text alone, piece by piece, from the start. Cancelling it ends the generation. Each use gives a new
   * stream.
   */
  get textStream(): TextStream {
    const events = this.#read();
    const next = async () => {
      for await (const { text } of { [Symbol.asyncIterator]: () => events }) if (text !== '') return text;
      return null;
    };
    const stream = new ReadableStream<string>(
      {
        pull: async (controller) => {
          const text = await next();
          if (text === null) controller.close();
          else controller.enqueue(text);
        },
        cancel: () => this.close(),
      },
      { highWaterMark: 0 }, // read no further than asked
    );
    return withIterator(stream);
  }

  /** One event per token, from the first on. Leaving the loop early ends the generation. */
  [Symbol.asyncIterator](): AsyncIterator<GenerateEvent, undefined> {
    const events = this.#read();
    return {
      next: events.next,
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  /**
   * Ends the generation here. What was generated stays readable, and `result` resolves with finish reason
   * `cancel`.
   */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#source.cancel();
    await this.#drive();
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** An iterator over all events whose end means nothing to the generation. */
  #read(): AsyncIterator<GenerateEvent, undefined> {
    let index = 0;
    return {
      next: async () => {
        while (index >= this.#events.length && !this.#ended) await this.#advance();
        const event = this.#events[index++];
        if (event) return { done: false, value: event };
        if (this.#failure) throw this.#failure.error;
        return { done: true, value: undefined };
      },
    };
  }

  async #drive(): Promise<void> {
    while (!this.#ended) await this.#advance();
  }

  /** One step further. Readers that wait at the same time share it. */
  #advance(): Promise<void> {
    if (!this.#started) {
      this.#started = true;
      this.#source.signal?.addEventListener('abort', this.#onAbort, { once: true });
    }
    this.#advancing ??= this.#step().finally(() => {
      this.#advancing = null;
    });
    return this.#advancing;
  }

  async #step(): Promise<void> {
    const { signal } = this.#source;
    try {
      const event = await this.#source.step();
      if (event) {
        this.#events.push(event);
        this.#text += event.text;
      }
      if (!this.#source.result) return;
      this.#resolve(this.#source.result);
    } catch (error) {
      if (!(signal?.aborted && error === signal.reason)) this.#failure = { error };
      this.#reject(error);
    }
    this.#ended = true;
    signal?.removeEventListener('abort', this.#onAbort);
  }
}

/** Safari cannot iterate ReadableStreams. */
function withIterator(stream: ReadableStream<string>): TextStream {
  if (Symbol.asyncIterator in stream) return stream as TextStream;
  const iterate = async function* () {
    const reader = (stream as ReadableStream<string>).getReader();
    try {
      for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
    } finally {
      await reader.cancel();
    }
  };
  return Object.assign(stream, { [Symbol.asyncIterator]: iterate });
}
