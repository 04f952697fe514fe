// Measures a pull: how much of each file is there, and how fast bytes arrive over the last seconds.

import {
  type DownloadProgress,
  type PullProgress,
  type ResolveProgress,
  type Retry,
  retryNote,
} from '../progress.ts';

export type PullListener = (progress: PullProgress) => void;

const WINDOW_MS = 3000;
const REPORT_EVERY_MS = 100;
/** Which commit, and which files. */
const LOOKUP_REQUESTS = 2;

/** Reports the look-up of a name. The first event comes at once. */
export class LookupMeter {
  readonly #source: string;
  readonly #listener: PullListener | undefined;
  #loaded = 0;

  constructor(source: string, listener: PullListener | undefined) {
    this.#source = source;
    this.#listener = listener;
    this.#report(null);
  }

  answered(): void {
    this.#loaded++;
    this.#report(null);
  }

  retry(retry: Retry): void {
    this.#report(retry);
  }

  #report(retry: Retry | null): void {
    const event: ResolveProgress = {
      phase: 'resolve',
      unit: 'requests',
      loaded: this.#loaded,
      total: LOOKUP_REQUESTS,
      source: this.#source,
      note: retry && retryNote(retry),
      retry,
    };
    this.#listener?.(event);
  }
}

export class ProgressMeter {
  readonly #listener: PullListener | undefined;
  readonly #now: () => number;
  readonly #totals: ReadonlyMap<string, number>;
  readonly #received = new Map<string, number>();
  readonly #lastReport = new Map<string, number>();
  /** Bytes that arrived, summed in slices of REPORT_EVERY_MS, oldest first. */
  #slices: { start: number; byteLength: number }[] = [];

  constructor(
    files: readonly { readonly path: string; readonly byteLength: number }[],
    listener: PullListener | undefined,
    now: () => number = () => performance.now(),
  ) {
    this.#totals = new Map(files.map((file) => [file.path, file.byteLength]));
    this.#listener = listener;
    this.#now = now;
  }

  /** `receivedBytes` from the file's start; it falls when a file starts over. */
  update(file: string, receivedBytes: number, fromNetwork: boolean): void {
    const gained = receivedBytes - (this.#received.get(file) ?? 0);
    this.#received.set(file, receivedBytes);
    const now = this.#now();
    if (fromNetwork && gained > 0) this.#count(now, gained);
    const due = now - (this.#lastReport.get(file) ?? Number.NEGATIVE_INFINITY) >= REPORT_EVERY_MS;
    if (due || receivedBytes === this.#totals.get(file)) this.#report(file, null, null);
  }

  /** Reports that a file waits, whatever the time since the last report. */
  note(file: string, note: string): void {
    this.#report(file, note, null);
  }

  retry(file: string, retry: Retry): void {
    this.#report(file, retryNote(retry), retry);
  }

  #count(now: number, byteLength: number): void {
    const last = this.#slices.at(-1);
    if (last !== undefined && now - last.start < REPORT_EVERY_MS) last.byteLength += byteLength;
    else this.#slices.push({ start: now, byteLength });
  }

  #report(name: string, note: string | null, retry: Retry | null): void {
    if (this.#listener === undefined) return;
    const now = this.#now();
    this.#lastReport.set(name, now);
    const event: DownloadProgress = {
      phase: 'download',
      unit: 'bytes',
      loaded: sum(this.#received.values()),
      total: sum(this.#totals.values()),
      file: { name, loaded: this.#received.get(name) ?? 0, total: this.#totals.get(name) ?? 0 },
      bytesPerSecond: this.#speed(now),
      note,
      retry,
    };
    this.#listener(event);
  }

  #speed(now: number): number {
    this.#slices = this.#slices.filter(({ start }) => now - start <= WINDOW_MS);
    const first = this.#slices[0];
    if (first === undefined) return 0;
    const elapsedMs = Math.max(REPORT_EVERY_MS, now - first.start);
    return (sum(this.#slices.map(({ byteLength }) => byteLength)) * 1000) / elapsedMs;
  }
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
