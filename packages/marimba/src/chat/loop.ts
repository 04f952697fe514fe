// The conversation loop: a prompt, an answer while it streams, and commands that begin with a slash.
import { stat } from 'node:fs/promises';
import { type GenerateOptions, type Generation, type Model, UsageError } from '@marimba/engine';
import { EXIT, explain } from '../exit.ts';
import { liveLine } from '../live-line.ts';
import { showReading } from '../prompt-progress.ts';
import { bold, bytes, cyan, dim, duration, plural, threeDigits, yellow } from '../terminal.ts';
import { createWrapper, definitions, lineWidth } from '../wrap.ts';
import { type Conversation, createConversation } from './conversation.ts';
import { type LineReader, readLines } from './lines.ts';

const HELP: readonly (readonly [string, string])[] = [
  ['/regenerate', 'another answer to the last message'],
  ['/new', 'start a new conversation'],
  ['/rewind [N]', 'take back the last N turns (default 1)'],
  ['/system [TEXT]', 'set or clear the system message'],
  ['/save FILE', 'save this conversation with its state'],
  ['/load FILE', 'resume a saved one'],
  ['/stats', 'tokens, speed and memory'],
  ['/help', 'this list'],
  ['/exit', 'leave (also Ctrl-D)'],
  ['//TEXT', 'a message that begins with a slash'],
  ['\\ Enter', 'another line of the same message (also Alt-Enter); a paste is one message'],
  ['Ctrl-C', 'stops an answer, clears a line, leaves on an empty one'],
];

export interface ChatSettings {
  readonly options: GenerateOptions;
  readonly system?: string | undefined;
  /** Lines that begin another text, where lines are continued. */
  readonly startsAnew?: (line: string) => boolean;
}

/** Runs until the end of input, /exit or Ctrl-C at the prompt. Resolves to the exit code. */
export async function chat(model: Model, settings: ChatSettings): Promise<number> {
  return new ChatLoop(model, settings, readLines()).run();
}

class ChatLoop {
  readonly #conversation: Conversation;
  readonly #settings: ChatSettings;
  readonly #lines: LineReader;
  #running: AbortController | null = null;
  #code: number = EXIT.done;
  #ended = false;

  constructor(model: Model, settings: ChatSettings, lines: LineReader) {
    this.#conversation = createConversation(model, settings.startsAnew ?? (() => false));
    this.#settings = settings;
    this.#lines = lines;
    if (settings.system !== undefined) this.#conversation.setSystem(settings.system);
  }

  async run(): Promise<number> {
    this.#lines.onInterrupt(() => {
      if (this.#running) {
        liveLine.stop();
        return this.#running.abort();
      }
      this.#ended = true;
      this.#code = EXIT.interrupted;
      this.#lines.close();
    });
    try {
      while (!this.#ended) {
        const line = await this.#lines.next(bold(cyan('› ')));
        if (line === null) break;
        await this.#handle(line).catch((error: unknown) => this.#complain(error));
      }
      if (process.stdout.isTTY) process.stdout.write('\n');
    } finally {
      this.#lines.close();
    }
    return this.#code;
  }

  async #handle(line: string): Promise<void> {
    if (line.trim() === '') return;
    if (!line.startsWith('/') || line.startsWith('//')) {
      const message = line.replace(/^\/(?=\/)/, '');
      return this.#show((options) => this.#conversation.send(message, options));
    }
    const [, name = '', argument = ''] = /^\/(\S*)\s*(.*)$/s.exec(line) ?? [];
    switch (name) {
      case 'exit':
      case 'quit':
        this.#ended = true;
        return;
      case 'help':
        return say(definitions(HELP));
      case 'regenerate':
        return this.#show((options) => this.#conversation.regenerate(options));
      case 'new':
        this.#conversation.startAnew();
        return say(dim('a new conversation'));
      case 'rewind':
        await this.#rewind(argument);
        return say(dim(`${plural(this.#conversation.turnCount, 'turn')} left`));
      case 'system':
        this.#conversation.setSystem(argument);
        return say(dim(argument ? 'system message set' : 'system message cleared'));
      case 'save':
        return this.#save(fileName(argument, name));
      case 'load':
        await this.#conversation.load(fileName(argument, name));
        return say(
          dim(
            `${plural(this.#conversation.turnCount, 'turn')}, ${plural(this.#conversation.position, 'token')}; ` +
              'nothing has to be read again',
          ),
        );
      case 'stats':
        return say(stats(this.#conversation));
      default:
        throw new UsageError(
          `/${name}: expected a command that /help lists. To send this as a message, begin it with //.`,
        );
    }
  }

  async #rewind(argument: string): Promise<void> {
    const turns = this.#conversation.turnCount;
    if (!turns) throw new UsageError('/rewind: there is no turn to take back yet');
    const count = argument === '' ? 1 : Number(argument);
    if (!Number.isInteger(count) || count < 1 || count > turns) {
      const range = turns === 1 ? '1, the only turn' : `a number of turns from 1 to ${turns}`;
      throw new UsageError(`/rewind: expected ${range}, found ${argument}`);
    }
    await this.#conversation.rewind(count);
  }

  async #save(path: string): Promise<void> {
    await this.#conversation.save(path);
    say(dim(`${path}: ${bytes((await stat(path)).size)}`));
  }

  /** Prints an answer while it streams. Ctrl-C ends it, and what was generated stays. */
  async #show(answer: (options: GenerateOptions) => Promise<Generation>): Promise<void> {
    const controller = (this.#running = new AbortController());
    const ids = this.#conversation.mode === 'tokens';
    let reading = () => {};
    const wrapper = !ids && process.stdout.isTTY ? createWrapper(lineWidth()) : null;
    try {
      const generation = await answer({ ...this.#settings.options, signal: controller.signal });
      reading = showReading(generation);
      for await (const { token, text } of generation) {
        reading();
        process.stdout.write(ids ? `${token} ` : (wrapper?.push(text) ?? text));
        await new Promise((resolve) => setImmediate(resolve));
      }
      reading();
      process.stdout.write(`${wrapper?.end() ?? ''}\n`);
      if (controller.signal.aborted) return say(dim('(stopped)'));
      const { finishReason } = await generation.result;
      if (finishReason === 'context') say(yellow('The context is full. /rewind makes room.'));
    } finally {
      reading();
      liveLine.stop(false);
      this.#running = null;
    }
  }

  /** A mistake at the prompt costs nothing; in a pipe nobody could correct it. */
  #complain(error: unknown): void {
    if (!process.stdin.isTTY) throw error;
    process.stderr.write(`${yellow(explain(error), process.stderr)}\n`);
  }
}

function fileName(argument: string, command: string): string {
  if (!argument) throw new UsageError(`/${command}: expected the name of a file`);
  return argument;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

function stats(conversation: Conversation): string {
  const { model, position, last } = conversation;
  const { usedBytes, weightBytes, recurrentBytes } = model.memory;
  const lines = [
    `context   ${position.toLocaleString('en')} of ${plural(model.contextLength, 'token')}`,
    `memory    ${bytes(usedBytes)} in use, weights ${bytes(weightBytes)}, ` +
      `state ${bytes(recurrentBytes)} per session`,
    `backend   ${model.describe().backend}`,
  ];
  if (last) {
    const { timings, usage, seed } = last;
    const speed = timings.tokensPerSecond > 0 ? ` at ${threeDigits(timings.tokensPerSecond)}/s` : '';
    lines.push(
      `prompt    ${plural(usage.promptTokens, 'token')}, ${usage.reusedTokens} reused, ` +
        `the rest read in ${duration(timings.promptMs)}`,
      `answer    ${plural(usage.generatedTokens, 'token')}${speed}, seed ${seed}`,
    );
  }
  return lines.map((line) => dim(`  ${line}`)).join('\n');
}
