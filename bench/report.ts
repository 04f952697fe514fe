// Rows of a comparison: both sides' figures, their ratio, and how far decoding is from the limit of memory.
import { type Spread, spreadOf } from '@marimba/engine/measure';
import type { Measurement } from './records.ts';
import { DERIVED, type Row, type TaskGroup } from './tasks.ts';

export interface ReportRow {
  readonly model: string;
  readonly title: string;
  readonly unit: Row['unit'];
  readonly higherIsBetter: boolean;
  readonly ours: Spread | null;
  readonly peer: Spread | null;
  /**
   * Ours over the peer's, repetition by repetition: neighbours in time, so that a busy machine counts for
   * both.
   */
  readonly ratio: Spread | null;
  /** Bare memory reads just before, bytes per second. */
  readonly readLimit: Spread | null;
  /** Bytes that had to be read, over the time taken and the limit nearest in time. Decoding only. */
  readonly shareOfReadLimit: Spread | null;
  readonly notes: readonly string[];
}

/** A figure over another one of the same side: what no peer is needed for. */
export interface DerivedRow {
  readonly model: string;
  readonly title: string;
  readonly ours: Spread | null;
  readonly peer: Spread | null;
}

/** What was measured of one group on one file. */
export interface Measured {
  readonly ours: readonly Measurement[];
  readonly peer: readonly Measurement[];
  readonly limit: readonly Measurement[];
}

export function reportRow(model: string, row: Row, { ours, peer, limit }: Measured): ReportRow {
  const { id, title, unit, higherIsBetter } = row;
  const limits = figuresOf(limit, 'bytesPerSecond');
  const notes = new Set([...ours, ...peer].flatMap((m) => (m.failure ? [`${m.side}: ${m.failure}`] : [])));
  return {
    model,
    title,
    unit,
    higherIsBetter,
    ours: spread(figuresOf(ours, id)),
    peer: spread(figuresOf(peer, id)),
    ratio: spread(ratios(ours, id, peer, id)),
    readLimit: spread(limits),
    shareOfReadLimit: spread([
      ...ratios(ours, `${id}.read`, ours, `${id}.limit`),
      ...ratios(
        ours.filter(({ figures }) => !(`${id}.limit` in figures)),
        `${id}.read`,
        limit,
        'bytesPerSecond',
      ),
    ]),
    notes: [...notes],
  };
}

export function derivedRows(model: string, { name }: TaskGroup, { ours, peer }: Measured): DerivedRow[] {
  return DERIVED.filter(({ group }) => group === name).map(({ title, id, over }) => ({
    model,
    title,
    ours: spread(ratios(ours, id, ours, over)),
    peer: spread(ratios(peer, id, peer, over)),
  }));
}

const figuresOf = (list: readonly Measurement[], id: string): number[] =>
  list.flatMap(({ figures }) => (id in figures ? [figures[id]!] : []));

/** The figures `id` of one list over `over` of another, of equal repetitions. */
function ratios(
  list: readonly Measurement[],
  id: string,
  others: readonly Measurement[],
  over: string,
): number[] {
  return list.flatMap(({ repetition, figures }) => {
    const other = others.find((m) => m.repetition === repetition)?.figures[over];
    const figure = figures[id];
    return figure !== undefined && other ? [figure / other] : [];
  });
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

export function formatDerived(rows: readonly DerivedRow[]): string {
  const lines = [['', 'ours', '', 'peer', '']];
  let model = '';
  for (const row of rows) {
    if (row.model !== model) lines.push([`${(model = row.model)}:`]);
    const format = (value: number) => value.toFixed(value < 0.1 ? 4 : 2);
    lines.push([`  ${row.title}`, ...cells(row.ours, format), ...cells(row.peer, format)]);
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
