// Status on stderr of work that is counted in anything but bytes: the live line on a terminal; elsewhere a
// new line every 15 seconds, so that a log tells how far things are.
import { liveLine } from './live-line.ts';

/** Between two lines where there is no terminal. */
const LOG_EVERY_MS = 15_000;

export class StatusLine {
  #logged = Number.NEGATIVE_INFINITY;

  show(text: string): void {
    liveLine.show(text);
    if (process.stderr.isTTY || performance.now() - this.#logged < LOG_EVERY_MS) return;
    this.#logged = performance.now();
    process.stderr.write(`${text}\n`);
  }

  /** A line of its own, above the status. */
  note(text: string): void {
    this.clear();
    process.stderr.write(`${text}\n`);
  }

  clear(): void {
    liveLine.clear();
  }
}
