// Plots as SVG text, drawn for a phone first: 360 units wide with type of 11, so that it stays readable at
// that width and grows on wider screens. Colours are CSS variables of the page (--series-0 … --series-7);
// every point also carries its number, so nothing depends on telling colours apart.

export interface PlotPoint {
  /** Number shown beside it, and index of its colour. */
  readonly series: number;
  readonly label: string;
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
}

export interface Axis {
  readonly label: string;
  readonly log?: boolean;
  /** Fixed range; default: that of the points with a margin. */
  readonly range?: readonly [number, number];
  readonly format?: (value: number) => string;
}

const WIDTH = 360;
const HEIGHT = 250;
const LEFT = 58;
const RIGHT = 14;
const TOP = 10;
const BOTTOM = 38;
const COLOURS = 8;

interface Scale {
  readonly ticks: readonly number[];
  at(value: number): number;
}

export function scatterPlot(
  points: readonly PlotPoint[],
  x: Axis,
  y: Axis,
  options: { readonly line?: { readonly y: number; readonly label: string } } = {},
): string {
  const xs = scaleOf(
    points.map((p) => p.x),
    x,
    LEFT,
    WIDTH - RIGHT,
  );
  const ys = scaleOf(
    [...points.flatMap((p) => [p.low ?? p.y, p.high ?? p.y]), ...(options.line ? [options.line.y] : [])],
    y,
    HEIGHT - BOTTOM,
    TOP,
  );
  const places = points.map((p) => ({ series: p.series, x: xs.at(p.x), y: ys.at(p.y) }));
  const inside = (y: number) => Math.min(HEIGHT - BOTTOM, Math.max(TOP, y));
  const marks = points.map((p, i) => {
    const { x: cx, y: cy } = places[i]!;
    const bar =
      p.low !== undefined && p.high !== undefined
        ? line(cx, inside(ys.at(p.low)), cx, inside(ys.at(p.high)), `class="bar s${p.series % COLOURS}"`)
        : '';
    return `<g>${bar}<circle cx="${fix(cx)}" cy="${fix(cy)}" r="4.5" class="dot s${p.series % COLOURS}"/><title>${escapeXml(p.label)}</title></g>`;
  });
  marks.push(numbers(places, 7, -5));
  const guide = options.line
    ? line(LEFT, ys.at(options.line.y), WIDTH - RIGHT, ys.at(options.line.y), 'class="guide"') +
      text(WIDTH - RIGHT, ys.at(options.line.y) - 4, options.line.label, 'class="tick" text-anchor="end"')
    : '';
  return frame(`${axes(xs, x, ys, y)}${guide}${marks.join('')}`, `${y.label} against ${x.label}`);
}

export interface Series {
  readonly series: number;
  readonly label: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export function linePlot(list: readonly Series[], x: Axis, y: Axis): string {
  const all = list.flatMap((s) => s.points);
  const xs = scaleOf(
    all.map((p) => p.x),
    x,
    LEFT,
    WIDTH - RIGHT,
  );
  const ys = scaleOf(
    all.map((p) => p.y),
    y,
    HEIGHT - BOTTOM,
    TOP,
  );
  const drawn = list.map(({ series, label, points }) => {
    const path = points.map((p, i) => `${i ? 'L' : 'M'}${fix(xs.at(p.x))} ${fix(ys.at(p.y))}`).join('');
    return `<path d="${path}" class="line s${series % COLOURS}"><title>${escapeXml(label)}</title></path>`;
  });
  const ends = list.flatMap(({ series, points }) =>
    points.slice(-1).map((p) => ({ series, x: xs.at(p.x), y: ys.at(p.y) })),
  );
  drawn.push(numbers(ends, 3, -3));
  return frame(`${axes(xs, x, ys, y)}${drawn.join('')}`, `${y.label} over ${x.label}`);
}

export interface DotRow {
  readonly series: number;
  readonly label: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly values: readonly number[];
}

const ROW_HEIGHT = 24;
const LABEL_WIDTH = 128;

/** One line a model: its seeds as small dots, their mean as a large one, the interval as a bar. */
export function dotPlot(
  rows: readonly DotRow[],
  axis: Axis,
  options: { readonly line?: number } = {},
): string {
  const height = rows.length * ROW_HEIGHT + BOTTOM + 6;
  const shown = rows.flatMap((r) => [
    r.value,
    ...r.values,
    ...(options.line === undefined ? [] : [options.line]),
  ]);
  const xs = scaleOf(shown, axis, LABEL_WIDTH, WIDTH - RIGHT);
  const bottom = height - BOTTOM;
  const grid = xs.ticks.map(
    (t) =>
      line(xs.at(t), 4, xs.at(t), bottom, 'class="grid"') +
      text(xs.at(t), bottom + 14, (axis.format ?? short)(t), 'class="tick" text-anchor="middle"'),
  );
  const guide =
    options.line === undefined
      ? ''
      : line(xs.at(options.line), 4, xs.at(options.line), bottom, 'class="guide"');
  const clamp = (value: number) => Math.min(WIDTH - RIGHT, Math.max(LABEL_WIDTH, xs.at(value)));
  const drawn = rows.map((r, i) => {
    const y = 6 + (i + 0.5) * ROW_HEIGHT;
    const seeds = r.values
      .map((v) => `<circle cx="${fix(clamp(v))}" cy="${fix(y)}" r="2" class="seed"/>`)
      .join('');
    const bar =
      Number.isFinite(r.low) && Number.isFinite(r.high)
        ? line(clamp(r.low), y, clamp(r.high), y, `class="bar s${r.series % COLOURS}"`)
        : '';
    const name = r.label.length > 21 ? `${r.label.slice(0, 20)}…` : r.label;
    return `<g>${text(2, y + 4, `${r.series + 1} ${name}`, 'class="name"')}${bar}<circle cx="${fix(clamp(r.value))}" cy="${fix(y)}" r="4.5" class="dot s${r.series % COLOURS}"/>${seeds}<title>${escapeXml(r.label)}: ${short(r.value)}</title></g>`;
  });
  const label = text(
    (LABEL_WIDTH + WIDTH - RIGHT) / 2,
    height - 6,
    axis.label,
    'class="axis" text-anchor="middle"',
  );
  return frame(grid.join('') + guide + drawn.join('') + label, axis.label, height);
}

/** Closer than this, marks would cover each other. */
const SAME_PLACE = 9;

/** The numbers of marks; those at one place share a text. */
function numbers(marks: readonly { series: number; x: number; y: number }[], dx: number, dy: number): string {
  const groups: { x: number; y: number; series: number[] }[] = [];
  for (const { series, x, y } of marks) {
    const group = groups.find((g) => Math.abs(g.x - x) < SAME_PLACE && Math.abs(g.y - y) < SAME_PLACE);
    if (group) group.series.push(series);
    else groups.push({ x, y, series: [series] });
  }
  return groups
    .map(({ x, y, series }) => {
      const label = series.map((n) => n + 1).join(', ');
      const atEdge = x + dx + label.length * 6 > WIDTH;
      return text(
        atEdge ? x - dx : x + dx,
        y + dy,
        label,
        `class="mark"${atEdge ? ' text-anchor="end"' : ''}`,
      );
    })
    .join('');
}

function axes(xs: Scale, x: Axis, ys: Scale, y: Axis): string {
  const bottom = HEIGHT - BOTTOM;
  const vertical = xs.ticks.map(
    (t) =>
      line(xs.at(t), TOP, xs.at(t), bottom, 'class="grid"') +
      text(xs.at(t), bottom + 14, (x.format ?? short)(t), 'class="tick" text-anchor="middle"'),
  );
  const horizontal = ys.ticks.map(
    (t) =>
      line(LEFT, ys.at(t), WIDTH - RIGHT, ys.at(t), 'class="grid"') +
      text(LEFT - 4, ys.at(t) + 4, (y.format ?? short)(t), 'class="tick" text-anchor="end"'),
  );
  const names =
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x.label, 'class="axis" text-anchor="middle"') +
    `<text transform="translate(10 ${fix((TOP + bottom) / 2)}) rotate(-90)" class="axis" text-anchor="middle">${escapeXml(y.label)}</text>`;
  return vertical.join('') + horizontal.join('') + names;
}

function scaleOf(values: readonly number[], axis: Axis, from: number, to: number): Scale {
  const usable = values.filter((v) => Number.isFinite(v) && (!axis.log || v > 0));
  const map = (v: number) => (axis.log ? Math.log10(Math.max(v, Number.MIN_VALUE)) : v);
  let [low, high] = axis.range?.map(map) ?? [Math.min(...usable.map(map)), Math.max(...usable.map(map))];
  if (low === undefined || high === undefined || !(low <= high)) [low, high] = [0, 1];
  const margin = axis.range ? 0 : (high - low || Math.abs(high) * 0.1 || 1) * 0.08;
  low -= margin;
  high += margin;
  const at = (value: number) => from + ((map(value) - low) / (high - low)) * (to - from);
  if (!axis.log) return { at, ticks: linearTicks(low, high) };
  const ticks = logTicks(low, high);
  return { at, ticks: ticks.length > 1 ? ticks : linearTicks(10 ** low, 10 ** high) };
}

function linearTicks(low: number, high: number): number[] {
  const rough = (high - low) / 4;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * magnitude).find((s) => s >= rough)!;
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: Math.max(0, count) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Powers of ten; within less than two decades also 2 and 5. */
function logTicks(low: number, high: number): number[] {
  const factors = high - low < 2 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  const stride = Math.max(1, Math.ceil((high - low) / 6));
  for (let power = Math.floor(low); power <= high; power += stride)
    for (const factor of factors) {
      const position = power + Math.log10(factor);
      if (position >= low && position <= high) ticks.push(Number((factor * 10 ** power).toPrecision(6)));
    }
  return ticks;
}

/** "1.2 M": three digits and a decimal unit. */
export function short(value: number): string {
  const size = Math.abs(value);
  for (const [unit, letter] of [
    [1e15, 'P'],
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const)
    if (size >= unit) return `${Number((value / unit).toPrecision(3))}${letter}`;
  return `${Number(value.toPrecision(3))}`;
}

const fix = (value: number): string => value.toFixed(1);
const line = (x1: number, y1: number, x2: number, y2: number, rest: string): string =>
  `<line x1="${fix(x1)}" y1="${fix(y1)}" x2="${fix(x2)}" y2="${fix(y2)}" ${rest}/>`;
const text = (x: number, y: number, content: string, rest: string): string =>
  `<text x="${fix(x)}" y="${fix(y)}" ${rest}>${escapeXml(content)}</text>`;
const frame = (content: string, title: string, height = HEIGHT): string =>
  `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeXml(title)}">${content}</svg>`;

export const escapeXml = (value: string): string => value.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
