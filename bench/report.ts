// Rows of a comparison: both sides' figures, their ratio, and how far decoding is from the limit of memory.
import { type Spread, spreadOf } from '@marimba/engine/internal/measure/statistics';
import type { Measurement } from './records.ts';
import type { Row } from './tasks.ts';

export interface ReportRow {
  readonly model: string;
  readonly title: string;
  readonly unit: Row['unit'];
  readonly higherIsBetter: boolean;
  readonly ours: Spread | null;
  readonly peer: Spread | null;
  /** Ours over the peer's, repetition by repetition: neighbours in time, so that a busy machine counts for both. */
  readonly ratio: Spread | null;
  /** Bytes that had to be read, over the time taken and the speed of bare memory reads just before. Decoding only. */
  readonly shareOfReadLimit: Spread | null;
  readonly notes: readonly string[];
}

export function reportRow(
  model: string,
  row: Row,
  ours: Measurement[],
  peer: Measurement[],
  limit: Measurement[],
): ReportRow {
  const figures = (list: Measurement[]) =>
    list.flatMap(({ figures: f }) => (row.id in f ? [f[row.id]!] : []));
  const ratios = ours.flatMap((mine) => {
    const theirs = peer.find((p) => p.repetition === mine.repetition);
    const [a, b] = [mine.figures[row.id], theirs?.figures[row.id]];
    return a !== undefined && b ? [a / b] : [];
  });
  const shares = ours.flatMap(({ repetition, figures: { readBytesPerSecond } }) => {
    const most = limit.find((l) => l.repetition === repetition)?.figures.bytesPerSecond;
    return row.id === 'decode' && readBytesPerSecond && most ? [readBytesPerSecond / most] : [];
  });
  const notes = new Set([...ours, ...peer].flatMap((m) => (m.failure ? [`${m.side}: ${m.failure}`] : [])));
  return {
    model,
    title: row.title,
    unit: row.unit,
    higherIsBetter: row.higherIsBetter,
    ours: spread(figures(ours)),
    peer: spread(figures(peer)),
    ratio: spread(ratios),
    shareOfReadLimit: spread(shares),
    notes: [...notes],
  };
}

const spread = (values: number[]): Spread | null => (values.length > 0 ? spreadOf(values) : null);

export function formatReport(rows: readonly ReportRow[]): string {
  const lines: string[][] = [['', 'ours', '', 'peer', '', 'ours / peer', '', '', 'of read limit']];
  let model = '';
  for (const row of rows) {
    if (row.model !== model) lines.push([`${(model = row.model)}:`]);
    lines.push([
      `  ${row.title}`,
      ...cells(row.ours, (value) => figure(value, row.unit)),
      ...cells(row.peer, (value) => figure(value, row.unit)),
      ...cells(row.ratio, (value) => `${value.toFixed(2)}×`),
      row.higherIsBetter ? 'more is better' : 'less is better',
      row.shareOfReadLimit ? `${(row.shareOfReadLimit.median * 100).toFixed(0)} %` : '',
    ]);
  }
  return aligned(lines);
}

/** The median, and the extremes. */
function cells(values: Spread | null, format: (value: number) => string): [string, string] {
  if (!values) return ['–', ''];
  return [format(values.median), `(${format(values.min)} … ${format(values.max)})`];
}

function figure(value: number, unit: Row['unit']): string {
  if (unit === 'bytes') return `${(value / 2 ** 20).toFixed(0)} MiB`;
  const text = value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
  return `${text} ${unit === 'ms' ? 'ms' : 't/s'}`;
}

function aligned(lines: readonly (readonly string[])[]): string {
  const full = lines.filter((line) => line.length > 1);
  const widths = full[0]!.map((_, c) => Math.max(...full.map((line) => (line[c] ?? '').length)));
  return lines
    .map((line) =>
      line.length === 1
        ? line[0]!
        : line
            .map((cell, c) => (c === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[c] ?? 0)))
            .join('  ')
            .trimEnd(),
    )
    .join('\n');
}
