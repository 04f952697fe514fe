// Curves in a terminal: both axes logarithmic, two dots of height for each character cell (▀ ▄ █).
import { bytes, cyan, dim, magenta, terminalWidth, tokens } from '../terminal.ts';

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
  const legend = curves.map((curve, i) => `${paint(i, '▄▄')} ${curve.name}`).join('   ');
  return [
    ...lines,
    axis,
    xLabels(curves[0]!.points, xs, width),
    `${' '.repeat(LABEL_WIDTH + 2)}${legend}`,
  ].join('\n');
}

const paint = (index: number, text: string): string => PAINT[index % PAINT.length]!(text);

function cell(upper: number, lower: number): string {
  if (upper < 0 && lower < 0) return ' ';
  if (upper >= 0 && lower >= 0) return paint(upper, '█');
  return upper >= 0 ? paint(upper, '▀') : paint(lower, '▄');
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
