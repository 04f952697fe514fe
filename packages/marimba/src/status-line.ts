// One line of status on stderr for work that is counted in anything but bytes: rewritten in place on a terminal; elsewhere a
// new line now and then, so that a log tells how far things are.
import { terminalWidth } from './terminal.ts';

/** Between two lines where there is no terminal. */
const LOG_EVERY_MS = 15_000;

export class StatusLine {
  readonly #stream = process.stderr;
  #shown = false;
  #logged = Number.NEGATIVE_INFINITY;

  show(text: string): void {
    if (this.#stream.isTTY) {
      this.#stream.write(`\r\u001b[2K${text.slice(0, terminalWidth() - 1)}`);
      this.#shown = true;
      return;
    }
    if (performance.now() - this.#logged < LOG_EVERY_MS) return;
    this.#logged = performance.now();
    this.#stream.write(`${text}\n`);
  }

  /** A line of its own, above the status. */
  note(text: string): void {
    this.clear();
    this.#stream.write(`${text}\n`);
  }

  clear(): void {
    if (this.#shown) this.#stream.write('\r\u001b[2K');
    this.#shown = false;
  }
}
