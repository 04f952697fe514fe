// The same curves as an SVG file: log-log, readable on light and dark pages, no scripts and no fonts to
// fetch.
import { bytes, tokens } from '../terminal.ts';
import { type Curve, logShare, rangeOf } from './curves.ts';

const WIDTH = 760;
const HEIGHT = 440;
const PLOT = { left: 84, right: 730, top: 64, bottom: 372 };
const COLOURS = ['#0f8b8d', '#c8553d'];

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #333 }
  .title { font-size: 16px; font-weight: 600 }
  .grid { stroke: #ddd }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } }`;

export function curvesSvg(curves: readonly Curve[], title = 'Memory by context length'): string {
  const all = curves.flatMap((curve) => curve.points);
  const xs = rangeOf(all.map((point) => point.x));
  const lowest = rangeOf(all.map((point) => point.y));
  const ys = { min: 2 ** Math.floor(Math.log2(lowest.min)), max: 2 ** Math.ceil(Math.log2(lowest.max)) };
  const x = (value: number) => fixed(PLOT.left + logShare(value, xs) * (PLOT.right - PLOT.left));
  const y = (value: number) => fixed(PLOT.bottom - logShare(value, ys) * (PLOT.bottom - PLOT.top));
  const parts = [`<text class="title" x="${PLOT.left}" y="30">${title}</text>`];
  const step = Math.max(1, Math.ceil(Math.log2(ys.max / ys.min) / 7));
  for (let power = Math.log2(ys.min); power <= Math.log2(ys.max); power += step) {
    const at = y(2 ** power);
    parts.push(
      `<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${at}" y2="${at}"/>`,
      `<text x="${PLOT.left - 8}" y="${Number(at) + 4}" text-anchor="end">${bytes(2 ** power)}</text>`,
    );
  }
  for (const { x: context } of curves[0]!.points)
    parts.push(
      `<text x="${x(context)}" y="${PLOT.bottom + 22}" text-anchor="middle">${tokens(context)}</text>`,
    );
  parts.push(
    `<text x="${(PLOT.left + PLOT.right) / 2}" y="${PLOT.bottom + 48}" text-anchor="middle">tokens of context</text>`,
  );
  curves.forEach((curve, i) => {
    const colour = COLOURS[i % COLOURS.length]!;
    const line = curve.points.map((point) => `${x(point.x)},${y(point.y)}`).join(' ');
    parts.push(`<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="2.5"/>`);
    for (const point of curve.points)
      parts.push(
        `<circle cx="${x(point.x)}" cy="${y(point.y)}" r="3.5" fill="${colour}">` +
          `<title>${tokens(point.x)}: ${bytes(point.y)}</title></circle>`,
      );
    const at = PLOT.left + i * 320;
    parts.push(
      `<rect x="${at}" y="40" width="18" height="4" fill="${colour}"/>`,
      `<text x="${at + 26}" y="47">${escapeXml(curve.name)}</text>`,
    );
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">\n` +
    `<style>${STYLE}\n</style>\n${parts.join('\n')}\n</svg>\n`
  );
}

const fixed = (value: number): string => value.toFixed(1);

const escapeXml = (text: string): string =>
  text.replace(/[<>&"]/g, (c) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' })[c] ?? c);
