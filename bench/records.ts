// Raw measurements, appended to a file as they come, one JSON object a line; an interrupted run continues
// from it.
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Figures } from './tasks.ts';

export type Side = 'ours' | 'peer' | 'limit';

export interface Measurement {
  /** File, task, threads: equal keys measure the same thing. */
  readonly key: string;
  readonly side: Side;
  readonly repetition: number;
  /** ISO 8601. */
  readonly at: string;
  readonly figures: Figures;
  /** Why there are no figures. */
  readonly failure?: string;
}

export class Records {
  readonly #path: string;
  readonly #list: Measurement[];

  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true });
    const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
    this.#list = lines.flatMap((line) => parse(line));
  }

  /** A measurement that succeeded. */
  find(key: string, side: Side, repetition: number): Measurement | undefined {
    return this.#list.find(
      (m) => m.key === key && m.side === side && m.repetition === repetition && !m.failure,
    );
  }

  of(key: string, side: Side, repetitions: number): Measurement[] {
    return this.#list.filter((m) => m.key === key && m.side === side && m.repetition < repetitions);
  }

  /** The run is complete: its raw figures are kept under another name, and the next run starts anew. */
  finish(path: string): void {
    renameSync(this.#path, path);
  }

  /** Keeps a copy under another name; the next run still continues from these. */
  copy(path: string): void {
    copyFileSync(this.#path, path);
  }

  add(measurement: Measurement): void {
    const { key, side, repetition } = measurement;
    const before = this.#list.findIndex(
      (m) => m.key === key && m.side === side && m.repetition === repetition,
    );
    if (before >= 0) this.#list.splice(before, 1);
    this.#list.push(measurement);
    appendFileSync(this.#path, `${JSON.stringify(measurement)}\n`);
  }
}

/** A line that was cut by an interruption counts as not measured. */
function parse(line: string): Measurement[] {
  try {
    return line === '' ? [] : [JSON.parse(line) as Measurement];
  } catch {
    return [];
  }
}
