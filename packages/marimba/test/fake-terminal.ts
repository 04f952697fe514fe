// A terminal for tests: keys go in as the bytes that a real one sends, and the screen is what its user would
// see. Knows the control sequences that the command line writes, and fails on others.
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import type { ReadStream, WriteStream } from 'node:tty';
import { textWidth } from '../src/terminal.ts';

export class FakeTerminal {
  readonly input: ReadStream;
  readonly output: WriteStream;
  raw = false;
  bracketedPaste = false;
  readonly columns: number;
  #rows: string[][] = [[]];
  #row = 0;
  #column = 0;

  constructor(columns = 40, rows = 10) {
    this.columns = columns;
    this.input = Object.assign(new PassThrough(), {
      isTTY: true,
      setRawMode: (raw: boolean) => (this.raw = raw),
    }) as unknown as ReadStream;
    this.output = Object.assign(new EventEmitter(), {
      isTTY: true,
      columns,
      rows,
      write: (text: string) => this.#write(text),
    }) as unknown as WriteStream;
  }

  /** Resolves when the keys have been handled. */
  async type(...keys: string[]): Promise<void> {
    for (const key of keys) {
      (this.input as unknown as PassThrough).write(key);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  get screen(): string {
    const lines = this.#rows.map((row) => row.join('').trimEnd());
    return lines.join('\n').trimEnd();
  }

  get cursor(): { row: number; column: number } {
    return { row: this.#row, column: this.#column };
  }

  #write(text: string): boolean {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
    for (const [part] of text.matchAll(/\u001b\[[\d;?]*[A-Za-z]|[\r\n]|[^\u001b\r\n]+/g))
      if (part.startsWith('\u001b')) this.#control(part.slice(2));
      else if (part === '\r') this.#column = 0;
      else if (part === '\n') this.#down();
      else for (const { segment } of new Intl.Segmenter().segment(part)) this.#put(segment);
    return true;
  }

  #control(sequence: string): void {
    const count = Number(/^\d+/.exec(sequence)?.[0] ?? 1);
    if (sequence === '?2004h') this.bracketedPaste = true;
    else if (sequence === '?2004l') this.bracketedPaste = false;
    else if (sequence.endsWith('m')) return;
    else if (sequence.endsWith('A')) this.#row = Math.max(0, this.#row - count);
    else if (sequence.endsWith('C')) this.#column = Math.min(this.columns - 1, this.#column + count);
    else if (sequence === 'J') {
      this.#rows.length = this.#row + 1;
      this.#rows[this.#row]!.length = Math.min(this.#column, this.#rows[this.#row]!.length);
    } else throw new Error(`expected a sequence that this terminal knows, found ESC [ ${sequence}`);
  }

  #put(character: string): void {
    const row = this.#rows[this.#row]!;
    while (row.length < this.#column) row.push(' ');
    const width = textWidth(character);
    row[this.#column] = character;
    for (let i = 1; i < width; i++) row[this.#column + i] = '';
    this.#column += width;
    if (this.#column >= this.columns)
      throw new Error(`expected rows that do not wrap, found ${row.join('')}`);
  }

  #down(): void {
    this.#row++;
    this.#rows[this.#row] ??= [];
  }
}
