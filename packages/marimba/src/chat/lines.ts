// Messages from a terminal or a pipe, as something to wait for. On a terminal they are edited (`editor.ts`):
// a paste is one message, and keys that are pressed while no message is asked for wait and are replayed when
// one is, so that what is sent is always what was shown.
import { emitKeypressEvents, type Key } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import { textWidth } from '../terminal.ts';
import { decodeText } from '../text-input.ts';
import { Editor, type EditorAction, layOut } from './editor.ts';
import { History } from './history.ts';

export interface LineReader {
  /** The next message, or null at the end of input. A line that ends in a backslash continues on the next. */
  next(prompt: string): Promise<string | null>;
  /** Ctrl-C: on an empty line, or while no message is asked for. */
  onInterrupt(listener: () => void): void;
  close(): void;
}

export const readLines = (): LineReader =>
  process.stdin.isTTY && process.stdout.isTTY
    ? new TerminalReader(process.stdin, process.stdout, new History())
    : new PipeReader();

class PipeReader implements LineReader {
  readonly #lines = linesOf(process.stdin);

  async next(): Promise<string | null> {
    const parts: string[] = [];
    for (;;) {
      const { done, value } = await this.#lines.next();
      if (done) return parts.length ? parts.join('\n') : null;
      if (!value.endsWith('\\')) return [...parts, value].join('\n');
      parts.push(value.slice(0, -1));
    }
  }

  onInterrupt(listener: () => void): void {
    process.on('SIGINT', listener);
  }

  close(): void {
    process.stdin.destroy();
  }
}

/** Lines as they come, each decoded by itself. Ends where the input does, or is closed. */
async function* linesOf(input: NodeJS.ReadStream): AsyncGenerator<string, undefined> {
  let rest = Buffer.alloc(0);
  let count = 0;
  let mark = Buffer.alloc(0);
  const decode = (bytes: Uint8Array) => {
    const marked = count === 0 ? bytes : Buffer.concat([mark, bytes]);
    return decodeText(marked, `standard input, line ${++count}`).replace(/\r$/, '');
  };
  try {
    for await (const chunk of input) {
      rest = Buffer.concat([rest, chunk as Buffer]);
      if (count === 0) mark = utf16Mark(rest);
      for (let end = lineEnd(rest, mark); end !== null; end = lineEnd(rest, mark)) {
        const line = rest.subarray(0, end.from);
        rest = rest.subarray(end.to);
        yield decode(line);
      }
    }
  } catch (error) {
    // What is left of an input that was closed while it was waited for.
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'))
      throw error;
    return;
  }
  if (rest.length) yield decode(rest);
}

/** What text in UTF-16 begins with; empty for other texts. */
const utf16Mark = (bytes: Buffer): Buffer<ArrayBuffer> =>
  Buffer.from(['fffe', 'feff'].find((mark) => bytes.toString('hex', 0, 2) === mark) ?? '', 'hex');

/** The end of the first line: one byte in UTF-8, a whole unit in UTF-16. Null while it has not come. */
function lineEnd(bytes: Buffer, mark: Buffer): { from: number; to: number } | null {
  const width = mark.length || 1;
  const low = mark[0] === 0xfe ? 1 : 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) {
    const from = at - low;
    if (from % width !== 0) continue;
    if (from + width > bytes.length) return null;
    if (width === 1 || bytes[from + 1 - low] === 0) return { from, to: from + width };
  }
  return null;
}

const PASTE_ON = '\u001b[?2004h';
const PASTE_OFF = '\u001b[?2004l';

export class TerminalReader implements LineReader {
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  readonly #history: History;
  readonly #onKey = (characters: string | undefined, key: Key) => this.#press(characters, key);
  readonly #onEnd = () => this.#finish(null);
  readonly #onResize = () => this.#draw();
  readonly #onExit = () => this.#output.write(PASTE_OFF);
  readonly #early: [string | undefined, Key][] = [];
  #editor: Editor | null = null;
  #prompt = '';
  #resolve: (text: string | null) => void = () => {};
  #interrupt: () => void = () => {};
  /**
   * Widths of the rows on the screen down to the cursor's, to find the first again after the window has
   * changed.
   */
  #drawn: number[] = [];
  #ended = false;

  constructor(input: ReadStream, output: WriteStream, history: History) {
    this.#input = input;
    this.#output = output;
    this.#history = history;
    emitKeypressEvents(input);
    input.on('keypress', this.#onKey).on('end', this.#onEnd).on('close', this.#onEnd);
    output.on('resize', this.#onResize);
    process.on('exit', this.#onExit);
    this.#takeTerminal();
  }

  next(prompt: string): Promise<string | null> {
    if (this.#ended) return Promise.resolve(null);
    this.#prompt = prompt;
    this.#editor = new Editor(this.#history.entries);
    this.#drawn = [];
    const answer = new Promise<string | null>((resolve) => (this.#resolve = resolve));
    this.#draw();
    while (this.#editor && this.#early.length) this.#press(...this.#early.shift()!);
    return answer;
  }

  onInterrupt(listener: () => void): void {
    this.#interrupt = listener;
  }

  close(): void {
    if (this.#editor) this.#finish(null);
    this.#ended = true;
    this.#input.off('keypress', this.#onKey).off('end', this.#onEnd).off('close', this.#onEnd);
    this.#output.off('resize', this.#onResize);
    process.off('exit', this.#onExit);
    this.#leaveTerminal();
    this.#input.pause();
  }

  #press(characters: string | undefined, key: Key): void {
    if (this.#editor) this.#act(this.#editor.press(characters, key));
    // Ctrl-C is for the answer that is under way; everything else is for the next message.
    else if (key.ctrl && key.name === 'c') this.#interrupt();
    else if (key.ctrl && key.name === 'z') this.#suspend();
    else this.#early.push([characters, key]);
  }

  #act(action: EditorAction | null): void {
    if (action === 'submit') this.#finish(this.#editor?.text ?? '');
    else if (action === 'end') this.#finish(null);
    else if (action === 'interrupt') this.#interrupt();
    else if (action === 'suspend') this.#suspend();
    else if (action === 'clear-screen') {
      this.#output.write('\u001b[2J\u001b[H');
      this.#drawn = [];
      this.#draw();
    } else if (action === 'edit') this.#draw();
  }

  /** Leaves the message on the screen and the cursor below it. */
  #finish(text: string | null): void {
    if (text === null) this.#ended = true;
    const editor = this.#editor;
    if (!editor) return;
    this.#draw(editor.text.length);
    this.#output.write('\r\n');
    this.#editor = null;
    if (text !== null) this.#history.add(text);
    this.#resolve(text);
  }

  #draw(cursor = this.#editor?.cursor ?? 0): void {
    if (!this.#editor) return;
    const columns = this.#output.columns || 80;
    const indent = textWidth(this.#prompt);
    const { rows, cursorRow, cursorColumn } = layOut(this.#editor.text, cursor, columns, indent);
    // A message taller than the screen is shown around the cursor: what scrolled away cannot be drawn again.
    const height = Math.max(1, (this.#output.rows || 24) - 1);
    const first = Math.max(0, Math.min(cursorRow - Math.floor(height / 2), rows.length - height));
    const shown = rows
      .slice(first, first + height)
      .map((row, i) => (first + i === 0 ? this.#prompt : ' '.repeat(indent)) + row);
    // Rows above the cursor, as many as they take in a window that may have become narrower.
    const above = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0) - 1;
    const below = shown.length - 1 - (cursorRow - first);
    this.#output.write(
      `${up(above)}\r\u001b[J${shown.join('\r\n')}${up(below)}\r${cursorColumn ? `\u001b[${cursorColumn}C` : ''}`,
    );
    this.#drawn = shown.slice(0, cursorRow - first + 1).map(textWidth);
  }

  #takeTerminal(): void {
    this.#input.setRawMode(true);
    this.#input.resume();
    this.#output.write(PASTE_ON);
  }

  #leaveTerminal(): void {
    this.#output.write(PASTE_OFF);
    this.#input.setRawMode(false);
  }

  /** Ctrl-Z: to the shell, and back with what was being written. */
  #suspend(): void {
    if (process.platform === 'win32') return;
    this.#leaveTerminal();
    process.once('SIGCONT', () => {
      this.#takeTerminal();
      this.#drawn = [];
      this.#draw();
    });
    process.kill(process.pid, 'SIGTSTP');
  }
}

const up = (rows: number): string => (rows > 0 ? `\u001b[${rows}A` : '');
