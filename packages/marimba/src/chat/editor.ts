// The text of a message while it is written: what each key does to it, and how it lies on a terminal's rows.
// Knows no stream, so that it can be tested key by key; `lines.ts` connects it to a terminal.
//
// Node's readline edits one line: a newline in pasted text sends it, and text that is typed while something
// else is printed ends up beside its cursor. Hence an editor of our own, on readline's key decoder.
import type { Key } from 'node:readline';
import { textWidth } from '../terminal.ts';

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** What a key asks of whoever owns the editor. `edit`: nothing but to be drawn again. */
export type EditorAction = 'edit' | 'submit' | 'interrupt' | 'end' | 'suspend' | 'clear-screen';

export class Editor {
  #text = '';
  /** An index into the text, always between two graphemes. */
  #cursor = 0;
  #pasted: string | null = null;
  /** Text that Ctrl-U, Ctrl-K or Ctrl-W removed last, for Ctrl-Y. */
  #killed = '';
  readonly #history: readonly string[];
  /** Position in the history; its length stands for the message that is being written. */
  #at: number;
  #draft = '';

  /** `history`: earlier messages, the latest last. */
  constructor(history: readonly string[] = []) {
    this.#history = history;
    this.#at = history.length;
  }

  get text(): string {
    return this.#text;
  }

  get cursor(): number {
    return this.#cursor;
  }

  /** Takes one key as `emitKeypressEvents` reports it. Null: the key means nothing here. */
  press(characters: string | undefined, key: Key): EditorAction | null {
    if (key.name === 'paste-start') {
      this.#pasted = '';
      return null;
    }
    if (this.#pasted !== null) return this.#paste(characters, key);
    const command = COMMANDS[chord(key)];
    if (command) return command(this);
    if (characters === undefined || key.ctrl || key.meta || /\p{Cc}/u.test(characters)) return null;
    this.#insert(characters);
    return 'edit';
  }

  /** Enter sends, unless a backslash before the cursor asks for another line. */
  enter(): EditorAction {
    if (this.#text[this.#cursor - 1] !== '\\') return 'submit';
    this.#replace(this.#cursor - 1, this.#cursor, '\n');
    return 'edit';
  }

  newline(): EditorAction {
    this.#insert('\n');
    return 'edit';
  }

  interrupt(): EditorAction {
    if (!this.#text) return 'interrupt';
    this.#set('');
    this.#at = this.#history.length;
    return 'edit';
  }

  /** Ctrl-D: the end of input on an empty line, otherwise deletes forward. */
  endOrDelete(): EditorAction {
    return this.#text ? this.erase(1) : 'end';
  }

  move(direction: -1 | 1): EditorAction {
    this.#cursor = this.#step(direction);
    return 'edit';
  }

  moveWord(direction: -1 | 1): EditorAction {
    this.#cursor = this.#wordEdge(direction);
    return 'edit';
  }

  /** To the start or the end of the line that the cursor is in. */
  moveToEdge(direction: -1 | 1): EditorAction {
    this.#cursor = this.#lineEdge(direction);
    return 'edit';
  }

  /** One line up or down; beyond the first and the last line, through the history. */
  moveLine(direction: -1 | 1): EditorAction | null {
    const start = this.#lineEdge(-1);
    const edge = this.#lineEdge(direction);
    const inside = direction < 0 ? start > 0 : edge < this.#text.length;
    if (!inside) return this.recall(direction);
    const column = this.#cursor - start;
    this.#cursor = edge + direction;
    const targetStart = this.#lineEdge(-1);
    this.#cursor = Math.min(targetStart + column, this.#lineEdge(1));
    this.#cursor = this.#boundary(this.#cursor);
    return 'edit';
  }

  /**
   * The message before or after this one in the history; what was being written is kept behind the latest.
   */
  recall(direction: -1 | 1): EditorAction | null {
    const next = this.#at + direction;
    if (next < 0 || next > this.#history.length) return null;
    if (this.#at === this.#history.length) this.#draft = this.#text;
    this.#at = next;
    this.#set(this.#history[next] ?? this.#draft);
    return 'edit';
  }

  erase(direction: -1 | 1): EditorAction {
    this.#erase(this.#step(direction));
    return 'edit';
  }

  /** Removes as far as a word or the line reaches; Ctrl-Y brings it back. */
  kill(reach: 'word' | 'line', direction: -1 | 1): EditorAction {
    const to = reach === 'word' ? this.#wordEdge(direction) : this.#lineEdge(direction);
    this.#killed = this.#text.slice(Math.min(to, this.#cursor), Math.max(to, this.#cursor)) || this.#killed;
    this.#erase(to);
    return 'edit';
  }

  yank(): EditorAction {
    this.#insert(this.#killed);
    return 'edit';
  }

  /**
   * Everything between the brackets of a paste is text, newlines too; other control characters are dropped.
   */
  #paste(characters: string | undefined, key: Key): EditorAction | null {
    if (key.name !== 'paste-end') {
      this.#pasted += characters ?? '';
      return null;
    }
    const text = (this.#pasted ?? '').replace(/\r\n?/g, '\n').replace(/[^\P{Cc}\n\t]/gu, '');
    this.#pasted = null;
    this.#insert(text);
    return 'edit';
  }

  #set(text: string): void {
    this.#text = text;
    this.#cursor = text.length;
  }

  #insert(text: string): void {
    this.#replace(this.#cursor, this.#cursor, text);
  }

  #erase(to: number): void {
    this.#replace(Math.min(to, this.#cursor), Math.max(to, this.#cursor), '');
  }

  #replace(from: number, to: number, text: string): void {
    this.#text = this.#text.slice(0, from) + text + this.#text.slice(to);
    this.#cursor = from + text.length;
  }

  #step(direction: -1 | 1): number {
    const cuts = [...graphemes.segment(this.#text)].map(({ index }) => index).concat(this.#text.length);
    return direction > 0
      ? (cuts.find((cut) => cut > this.#cursor) ?? this.#text.length)
      : (cuts.findLast((cut) => cut < this.#cursor) ?? 0);
  }

  /** The grapheme boundary at or before an index. */
  #boundary(index: number): number {
    return graphemes.segment(this.#text).containing(index)?.index ?? this.#text.length;
  }

  #lineEdge(direction: -1 | 1): number {
    if (direction < 0) return this.#text.lastIndexOf('\n', this.#cursor - 1) + 1;
    const end = this.#text.indexOf('\n', this.#cursor);
    return end < 0 ? this.#text.length : end;
  }

  #wordEdge(direction: -1 | 1): number {
    if (direction < 0) {
      const before = this.#text.slice(0, this.#cursor);
      return before.length - (/\S*\s*$/.exec(before)?.[0].length ?? 0);
    }
    return this.#cursor + (/^\s*\S*/.exec(this.#text.slice(this.#cursor))?.[0].length ?? 0);
  }
}

/** "ctrl-a", "meta-return", "left". */
const chord = ({ name, ctrl, meta }: Key): string =>
  `${ctrl ? 'ctrl-' : ''}${meta ? 'meta-' : ''}${name ?? ''}`;

const COMMANDS: Readonly<Record<string, (editor: Editor) => EditorAction | null>> = {
  return: (e) => e.enter(),
  // Alt-Enter; Ctrl-J, which terminals also send for Shift-Enter.
  'meta-return': (e) => e.newline(),
  'meta-enter': (e) => e.newline(),
  enter: (e) => e.newline(),
  'ctrl-c': (e) => e.interrupt(),
  'ctrl-d': (e) => e.endOrDelete(),
  'ctrl-l': () => 'clear-screen',
  'ctrl-z': () => 'suspend',
  left: (e) => e.move(-1),
  right: (e) => e.move(1),
  'ctrl-b': (e) => e.move(-1),
  'ctrl-f': (e) => e.move(1),
  'ctrl-left': (e) => e.moveWord(-1),
  'ctrl-right': (e) => e.moveWord(1),
  'meta-left': (e) => e.moveWord(-1),
  'meta-right': (e) => e.moveWord(1),
  'meta-b': (e) => e.moveWord(-1),
  'meta-f': (e) => e.moveWord(1),
  home: (e) => e.moveToEdge(-1),
  end: (e) => e.moveToEdge(1),
  'ctrl-a': (e) => e.moveToEdge(-1),
  'ctrl-e': (e) => e.moveToEdge(1),
  up: (e) => e.moveLine(-1),
  down: (e) => e.moveLine(1),
  'ctrl-p': (e) => e.recall(-1),
  'ctrl-n': (e) => e.recall(1),
  backspace: (e) => e.erase(-1),
  'ctrl-h': (e) => e.erase(-1),
  delete: (e) => e.erase(1),
  'ctrl-u': (e) => e.kill('line', -1),
  'ctrl-k': (e) => e.kill('line', 1),
  'ctrl-w': (e) => e.kill('word', -1),
  'meta-backspace': (e) => e.kill('word', -1),
  'meta-d': (e) => e.kill('word', 1),
  'ctrl-y': (e) => e.yank(),
};

export interface Layout {
  /** Without the prompt, which stands before the first. */
  readonly rows: readonly string[];
  readonly cursorRow: number;
  /** Prompt and indentation included. */
  readonly cursorColumn: number;
}

/**
 * The text on rows of at most `columns` - 1, so that no row wraps by itself: terminals differ in where the
 * cursor stands after a full one. Every row begins after `indent` columns, where the prompt ends.
 */
export function layOut(text: string, cursor: number, columns: number, indent: number): Layout {
  const room = Math.max(1, columns - 1 - indent);
  const rows: string[] = [''];
  let column = 0;
  let at = { row: 0, column: 0 };
  const breakRow = () => {
    rows.push('');
    column = 0;
  };
  for (const { segment, index } of graphemes.segment(text)) {
    const shown = segment === '\t' ? '    ' : segment;
    const width = textWidth(shown);
    if (segment !== '\n' && column + width > room) breakRow();
    if (index === cursor) at = { row: rows.length - 1, column };
    if (segment === '\n') breakRow();
    else {
      rows[rows.length - 1] += shown;
      column += width;
    }
  }
  if (cursor >= text.length) at = { row: rows.length - 1, column };
  return { rows, cursorRow: at.row, cursorColumn: indent + at.column };
}
