// Curves in a terminal: both axes logarithmic, two dots of height for each character cell (▀ ▄ █).
import { bytes, cyan, dim, hasColours, magenta, terminalWidth, textWidth, tokens } from '../terminal.ts';

export interface Curve {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

const HEIGHT = 12;
const LABEL_WIDTH = 9;
const PAINT = [cyan, magenta];
/** Upper half, lower half and both of a cell. Without colours the second curve is told apart by its dots. */
const BLOCKS = ['▀', '▄', '█'] as const;
const GLYPHS = [BLOCKS, ['˙', '.', ':']] as const;

export function rangeOf(values: readonly number[]): Range {
  return { min: Math.min(...values), max: Math.max(...values) };
}

/** The y of a curve at some x, straight between its points in log-log. */
export function interpolate(points: Curve['points'], x: number): number {
  const after = points.findIndex((point) => point.x >= x);
  const to = points[after] ?? points.at(-1)!;
  const from = points[after - 1] ?? to;
  if (from === to || from.x === to.x) return to.y;
  const share = Math.log(x / from.x) / Math.log(to.x / from.x);
  return from.y * (to.y / from.y) ** share;
}

/** Where a value lies between min (0) and max (1), logarithmically. */
export const logShare = (value: number, { min, max }: Range): number =>
  max > min ? Math.log(value / min) / Math.log(max / min) : 0;

export function drawCurves(curves: readonly Curve[]): string {
  const width = Math.max(20, Math.min(72, terminalWidth() - LABEL_WIDTH - 4));
  const all = curves.flatMap((curve) => curve.points);
  const xs = rangeOf(all.map((point) => point.x));
  const ys = rangeOf(all.map((point) => point.y));
  // owner[row][column]: the curve whose dot is there; 2 rows a cell, row 0 at the bottom.
  const dots = Array.from({ length: HEIGHT * 2 }, () => new Array<number>(width).fill(-1));
  curves.forEach((curve, index) => {
    for (let column = 0; column < width; column++) {
      const x = xs.min * (xs.max / xs.min) ** (column / (width - 1));
      const row = Math.round(logShare(interpolate(curve.points, x), ys) * (HEIGHT * 2 - 1));
      dots[row]![column] = index;
    }
  });
  const lines = Array.from({ length: HEIGHT }, (_, line) => {
    const top = dots[(HEIGHT - 1 - line) * 2 + 1]!;
    const bottom = dots[(HEIGHT - 1 - line) * 2]!;
    const value = ys.min * (ys.max / ys.min) ** ((HEIGHT - 1 - line) / (HEIGHT - 1));
    const label = line % 3 === 0 || line === HEIGHT - 1 ? bytes(value) : '';
    const cells = top.map((upper, column) => cell(upper, bottom[column]!)).join('');
    return `${label.padStart(LABEL_WIDTH)} ${dim('│')}${cells}`;
  });
  const axis = `${' '.repeat(LABEL_WIDTH)} ${dim(`└${'─'.repeat(width)}`)}`;
  const legend = curves.map((curve, i) => `${paint(i, glyphs(i)[1].repeat(2))} ${curve.name}`);
  return [
    ...lines,
    axis,
    xLabels(curves[0]!.points, xs, width),
    ...legendLines(legend, ' '.repeat(LABEL_WIDTH + 2)),
  ].join('\n');
}

/** On one line where there is room. */
const legendLines = (entries: readonly string[], indent: string): string[] => {
  const line = indent + entries.join('   ');
  return textWidth(line) <= terminalWidth() ? [line] : entries.map((entry) => indent + entry);
};

const paint = (index: number, text: string): string => PAINT[index % PAINT.length]!(text);

const glyphs = (index: number) => (hasColours(process.stdout) ? BLOCKS : GLYPHS[index % GLYPHS.length]!);

function cell(upper: number, lower: number): string {
  if (upper < 0 && lower < 0) return ' ';
  const half = upper >= 0 && lower >= 0 ? 2 : upper >= 0 ? 0 : 1;
  const owner = upper >= 0 ? upper : lower;
  return paint(owner, glyphs(owner)[half]);
}

function xLabels(points: Curve['points'], xs: Range, width: number): string {
  const line = new Array<string>(width + 2).fill(' ');
  let free = 0;
  for (const { x } of points) {
    const label = tokens(x);
    const start = Math.min(width + 2 - label.length, Math.round(logShare(x, xs) * (width - 1)));
    if (start < free) continue;
    for (let i = 0; i < label.length; i++) line[start + i] = label[i]!;
    free = start + label.length + 1;
  }
  return `${' '.repeat(LABEL_WIDTH + 2)}${dim(line.join('').trimEnd())}`;
}
