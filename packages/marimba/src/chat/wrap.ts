// Plain text on a terminal, broken between words while it streams: a word is written when it is known to be whole.

/** Longer lines are hard to read. */
const WIDEST = 96;

export const lineWidth = (): number => Math.min(WIDEST, process.stdout.columns || 80);

export interface Wrapper {
  /** What can be written now. */
  push(text: string): string;
  /** What was held back. */
  end(): string;
}

/** `column`: where the cursor stands. Lines hold at most `width` characters, except a longer word by itself. */
export function createWrapper(width: number, column = 0): Wrapper {
  let word = '';
  let space = '';
  const flush = (): string => {
    if (!word) return '';
    const breaks = column > 0 && column + space.length + word.length > width;
    const out = breaks ? `\n${word}` : space + word;
    column = breaks ? word.length : column + space.length + word.length;
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
