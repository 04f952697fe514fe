// Colours and figures for people. Colours only where a terminal reads them, and never against NO_COLOR.

type Stream = Pick<NodeJS.WriteStream, 'isTTY'>;

function style(open: number, close: number): (text: string, stream?: Stream) => string {
  return (text, stream = process.stdout) =>
    hasColours(stream) ? `\u001b[${open}m${text}\u001b[${close}m` : text;
}

export function hasColours(stream: Stream): boolean {
  if (process.env.NO_COLOR) return false;
  return Boolean(process.env.FORCE_COLOR) || Boolean(stream.isTTY);
}

export const bold = style(1, 22);
export const dim = style(2, 22);
export const red = style(31, 39);
export const green = style(32, 39);
export const yellow = style(33, 39);
export const blue = style(34, 39);
export const magenta = style(35, 39);
export const cyan = style(36, 39);

/** "1.70 GiB": three significant digits, binary units. */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : threeDigits(value)} ${units[unit]}`;
}

/** "3.03 B" for parameters; decimal units. */
export function count(value: number): string {
  for (const [size, unit] of [
    [1e12, ' T'],
    [1e9, ' B'],
    [1e6, ' M'],
    [1e3, ' K'],
  ] as const)
    if (value >= size) return `${threeDigits(value / size)}${unit}`;
  return `${value}`;
}

export const threeDigits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);

/** "1 turn", "2 turns", "1,024 tokens"; `many` where an s does not do. */
export const plural = (amount: number, one: string, many = `${one}s`): string =>
  `${amount.toLocaleString('en')} ${amount === 1 ? one : many}`;

/** "256K": token counts of contexts, in powers of two where they are. */
export const tokens = (value: number): string =>
  value >= 2 ** 20 && value % 2 ** 20 === 0
    ? `${value / 2 ** 20}M`
    : value >= 1024 && value % 1024 === 0
      ? `${value / 1024}K`
      : `${value}`;

export function duration(ms: number): string {
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${threeDigits(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${Math.round(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Rows as columns: the first left-aligned, the others right-aligned. Widths ignore colour codes. */
export function table(rows: readonly (readonly string[])[], indent = '  '): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, c) =>
    Math.max(...rows.map((row) => textWidth(row[c] ?? ''))),
  );
  return rows
    .map((row) => {
      const cells = row.map((cell, c) => {
        const space = ' '.repeat(widths[c]! - textWidth(cell));
        return c === 0 ? cell + space : space + cell;
      });
      return indent + cells.join('  ').trimEnd();
    })
    .join('\n');
}

/**
 * A table that drops columns, in the order of `droppable`, until it fits the terminal. Pipes get all columns.
 */
export function fitTable(rows: readonly (readonly string[])[], droppable: readonly number[]): string {
  const room = process.stdout.isTTY ? terminalWidth() : Number.POSITIVE_INFINITY;
  for (let dropped = 0; ; dropped++) {
    const gone = new Set(droppable.slice(0, dropped));
    const text = table(rows.map((row) => row.filter((_, column) => !gone.has(column))));
    const width = Math.max(...text.split('\n').map(textWidth));
    if (width <= room || dropped === droppable.length) return text;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes start with the escape character
const COLOUR = /\u001b\[[\d;]*m/g;
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
/** East Asian Wide and Fullwidth (Unicode UAX 11), to the block. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;

export const withoutColours = (text: string): string => text.replace(COLOUR, '');

/** Columns that a text takes on a terminal, without its colour codes. */
export function textWidth(text: string): number {
  const plain = withoutColours(text);
  if (/^[ -~]*$/.test(plain)) return plain.length;
  let columns = 0;
  for (const { segment } of graphemes.segment(plain)) {
    if (/^[\p{M}\p{Cc}\p{Cf}]/u.test(segment)) continue;
    columns += WIDE.test(segment) || /\p{Emoji_Presentation}|\ufe0f/u.test(segment) ? 2 : 1;
  }
  return columns;
}

export const terminalWidth = (): number => Math.min(process.stdout.columns || 80, 120);

/** Data for scripts: indented, lists of numbers on one line. */
export function printJson(value: unknown): void {
  // A raw line break cannot stand inside a JSON string, so only real lists match.
  const text = JSON.stringify(value, null, 2).replace(
    /\[\n\s+(-?[\d.][^[\]"{}]*?)\n\s+\]/g,
    (_, list: string) => {
      return `[${list.replace(/\n\s+/g, ' ')}]`;
    },
  );
  process.stdout.write(`${text}\n`);
}
