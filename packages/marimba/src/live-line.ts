// The one line of a terminal's stderr that is rewritten in place: progress, status, "stopping …". Silent
// elsewhere.
import { textWidth, withoutColours } from './terminal.ts';

const ERASE = '\r\u001b[2K';

let shown = false;
let stopping = false;

export const liveLine = {
  show(text: string): void {
    const { isTTY, columns = 80 } = process.stderr;
    if (!isTTY) return;
    const wanted = stopping ? 'stopping …' : text;
    // A line that wraps could not be rewritten.
    const fits = textWidth(wanted) < columns;
    process.stderr.write(ERASE + (fits ? wanted : withoutColours(wanted).slice(0, columns - 1)));
    shown = true;
  },

  clear(): void {
    if (shown) process.stderr.write(ERASE);
    shown = false;
  },

  /** From Ctrl-C until the work has ended, whatever is to be shown is "stopping …". */
  stop(isStopping = true): void {
    stopping = isStopping;
    if (shown) this.show('');
  },
};
