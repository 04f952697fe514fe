// Progress of a pull: how much of each file is there, and how fast bytes arrive over the last seconds.

export interface PullProgress {
  /** Path inside the repository. */
  readonly file: string;
  readonly receivedBytes: number;
  readonly totalBytes: number;
  /** Of all files together, from the network only; 0 while nothing arrives. */
  readonly bytesPerSecond: number;
  /** All files of this pull together, those found in the cache included. */
  readonly overall: { readonly receivedBytes: number; readonly totalBytes: number };
  /** Why it is waiting or starting over, when it is. */
  readonly note: string | null;
}

const WINDOW_MS = 3000;
const REPORT_EVERY_MS = 100;

export class ProgressMeter {
  readonly #listener: ((progress: PullProgress) => void) | undefined;
  readonly #now: () => number;
  readonly #totals: ReadonlyMap<string, number>;
  readonly #received = new Map<string, number>();
  readonly #lastReport = new Map<string, number>();
  /** Bytes that arrived, summed in slices of REPORT_EVERY_MS, oldest first. */
  #slices: { start: number; byteLength: number }[] = [];

  constructor(
    files: readonly { readonly path: string; readonly byteLength: number }[],
    listener: ((progress: PullProgress) => void) | undefined,
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
    if (due || receivedBytes === this.#totals.get(file)) this.#report(file, null);
  }

  note(file: string, note: string): void {
    this.#report(file, note);
  }

  #count(now: number, byteLength: number): void {
    const last = this.#slices.at(-1);
    if (last !== undefined && now - last.start < REPORT_EVERY_MS) last.byteLength += byteLength;
    else this.#slices.push({ start: now, byteLength });
  }

  #report(file: string, note: string | null): void {
    if (this.#listener === undefined) return;
    const now = this.#now();
    this.#lastReport.set(file, now);
    this.#listener({
      file,
      receivedBytes: this.#received.get(file) ?? 0,
      totalBytes: this.#totals.get(file) ?? 0,
      bytesPerSecond: this.#speed(now),
      overall: { receivedBytes: sum(this.#received.values()), totalBytes: sum(this.#totals.values()) },
      note,
    });
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
