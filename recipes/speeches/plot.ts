// Held-out bits per byte by training tokens, one line a model, the trigram model as a level: SVG that reads
// on light and dark pages, without scripts or fonts to fetch.

export interface Curve {
  readonly title: string;
  readonly points: readonly { readonly tokens: number; readonly bitsPerByte: number }[];
}

const WIDTH = 760;
const HEIGHT = 420;
const PLOT = { left: 70, right: 550, top: 50, bottom: 360 };
const COLOURS = ['#c8553d', '#2f6db5', '#0f8b8d', '#c8553d'];
const DASHES = ['4 2', '7 4', '2 3', ''];

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #333 }
  .title { font-size: 16px; font-weight: 600 }
  .grid { stroke: #ddd } .level { stroke: #777; stroke-dasharray: 1 4; stroke-width: 2; stroke-linecap: round }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } .level { stroke: #aaa } }`;

export function trainingSvg(curves: readonly Curve[], trigram: number): string {
  const all = curves.flatMap(({ points }) => points);
  const values = [...all.map(({ bitsPerByte }) => bitsPerByte), trigram];
  const last = Math.max(...all.map(({ tokens }) => tokens));
  const low = Math.floor(Math.min(...values) * 5) / 5;
  const high = Math.min(Math.ceil(Math.max(...values) * 5) / 5, low + 1.6);
  const x = (tokens: number) => PLOT.left + (tokens / last) * (PLOT.right - PLOT.left);
  const y = (bits: number) =>
    PLOT.bottom - ((Math.min(bits, high) - low) / (high - low)) * (PLOT.bottom - PLOT.top);
  const parts = ['<text class="title" x="70" y="28">Held-out bits per byte while training</text>'];
  for (let tick = low; tick <= high + 1e-9; tick += 0.2)
    parts.push(
      line('grid', PLOT.left, y(tick), PLOT.right, y(tick)),
      label(PLOT.left - 10, y(tick) + 4, tick.toFixed(1), 'end'),
    );
  const step = [1, 2, 5, 10]
    .map((k) => k * 10 ** Math.floor(Math.log10(last / 6)))
    .find((k) => last / k <= 6)!;
  for (let tokens = 0; tokens <= last; tokens += step)
    parts.push(label(x(tokens), PLOT.bottom + 22, `${+(tokens / 1e6).toPrecision(3)}`, 'middle'));
  parts.push(label((PLOT.left + PLOT.right) / 2, PLOT.bottom + 46, 'million tokens', 'middle'));
  parts.push(line('level', PLOT.left, y(trigram), PLOT.right, y(trigram)));
  curves.forEach(({ points }, i) => {
    const shown = points.filter(({ bitsPerByte }) => bitsPerByte <= high);
    const path = shown.map((p) => `${x(p.tokens).toFixed(1)},${y(p.bitsPerByte).toFixed(1)}`).join(' ');
    parts.push(
      `<polyline points="${path}" fill="none" stroke="${COLOURS[i]}" stroke-width="2.2" stroke-dasharray="${DASHES[i]}"/>`,
    );
  });
  parts.push(...endLabels(curves, trigram, y));
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" ` +
    `aria-label="Held-out bits per byte while training">\n<style>${STYLE}\n</style>\n${parts.join('\n')}\n</svg>\n`
  );
}

/**
 * Names and last values at the right edge, moved apart where they would touch, with a stroke of the line's
 * own kind.
 */
function endLabels(curves: readonly Curve[], trigram: number, y: (bits: number) => number): string[] {
  const ends = [
    ...curves.map(({ title, points }, i) => ({ title, bits: points.at(-1)?.bitsPerByte ?? 0, i })),
    { title: 'trigram', bits: trigram, i: -1 },
  ].sort((a, b) => b.bits - a.bits);
  let lowest = Number.NEGATIVE_INFINITY;
  return ends.map(({ title, bits, i }) => {
    const at = Math.max(y(bits), lowest + 18);
    lowest = at;
    const from = PLOT.right + 6;
    const stroke =
      i < 0
        ? line('level', from, at, from + 20, at)
        : `<line x1="${from}" x2="${from + 20}" y1="${at}" y2="${at}" stroke="${COLOURS[i]}" stroke-width="2.2" stroke-dasharray="${DASHES[i]}"/>`;
    return `${stroke}${label(from + 26, at + 4, `${title} ${bits.toFixed(3)}`, 'start')}`;
  });
}

const line = (kind: string, x1: number, y1: number, x2: number, y2: number): string =>
  `<line class="${kind}" x1="${x1.toFixed(1)}" x2="${x2.toFixed(1)}" y1="${y1.toFixed(1)}" y2="${y2.toFixed(1)}"/>`;

const label = (x: number, y: number, text: string, anchor: string): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${text}</text>`;
