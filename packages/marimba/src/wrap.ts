// Breaks text between words for a terminal: whole texts, definitions in columns, answers while they stream.
import { cyan, terminalWidth, textWidth } from './terminal.ts';

/** Longer lines are hard to read. */
const WIDEST = 96;

export const lineWidth = (): number => Math.min(WIDEST, process.stdout.columns || 80);

/** A whole text, colour codes ignored. Every line begins with `indent`. */
export function wrapText(text: string, width = lineWidth(), indent = ''): string {
  const wrapper = createWrapper(width - textWidth(indent));
  return (wrapper.push(text) + wrapper.end()).replace(/^(?=.)/gm, indent);
}

/** Terms and their meanings in two columns, the second wrapped; below each other on a narrow terminal. */
export function definitions(
  list: readonly (readonly [term: string, meaning: string])[],
  paint: (text: string) => string = cyan,
): string {
  const columns = terminalWidth();
  const column = Math.max(...list.map(([term]) => textWidth(term))) + 4;
  return list
    .map(([term, meaning]) => {
      const room = columns - column;
      if (room < 24) return `  ${paint(term)}\n${wrapText(meaning, columns, '      ')}`;
      const lines = wrapText(meaning, room).split('\n');
      const head = `  ${paint(term)}${' '.repeat(column - 2 - textWidth(term))}`;
      return head + lines.join(`\n${' '.repeat(column)}`);
    })
    .join('\n');
}

export interface Wrapper {
  /** Returns what can be written now: a word is held back until it is known to be whole. */
  push(text: string): string;
  /** Returns what was held back. */
  end(): string;
}

/** `column`: where the cursor is. Lines take at most `width` columns, except a longer word by itself. */
export function createWrapper(width: number, column = 0): Wrapper {
  let word = '';
  let space = '';
  const flush = (): string => {
    if (!word) return '';
    const length = textWidth(word);
    const breaks = column > 0 && column + space.length + length > width;
    const out = breaks ? `\n${word}` : space + word;
    column = breaks ? length : column + space.length + length;
    word = space = '';
    return out;
  };
  return {
    push(text) {
      let out = '';
      for (const character of text) {
        if (character === '\n') {
          out += `${flush()}\n`;
          space = '';
          column = 0;
        } else if (character === ' ') {
          out += flush();
          space += character;
        } else word += character;
      }
      return out;
    },
    end: flush,
  };
}
