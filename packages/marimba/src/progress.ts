// Progress of long work, on stderr so that stdout stays clean: one line that is rewritten on a terminal, a
// plain line at the start of each part elsewhere.
import type { LoadProgress } from '@marimba/engine';
import { liveLine } from './live-line.ts';
import { bytes, dim, duration } from './terminal.ts';

const BAR_WIDTH = 24;
/** Shorter work is over before anyone could read about it; more often than this nobody sees. */
const FIRST_MS = 200;
const EVERY_MS = 80;

export class Progress {
  readonly #stream = process.stderr;
  #announced = '';
  #due = performance.now() + FIRST_MS;

  /**
   * `part` names what is under way; elsewhere than on a terminal it is printed once. `figure` says how
   * amounts are written: as bytes, unless they count something else.
   */
  show(
    part: string,
    done: number,
    total: number,
    rest = '',
    figure: (amount: number) => string = bytes,
  ): void {
    if (!this.#stream.isTTY) {
      if (part !== this.#announced) this.#stream.write(`${part} (${figure(total)}) …\n`);
      this.#announced = part;
      return;
    }
    if (performance.now() < this.#due) return;
    this.#due = performance.now() + EVERY_MS;
    const fraction = total > 0 ? Math.min(1, done / total) : 0;
    const figures = `${Math.floor(fraction * 100)}%  ${figure(done)} of ${figure(total)}`;
    // In a narrow terminal first the pace goes, then the bar.
    const room = (this.#stream.columns || 80) - 1 - part.length - figures.length - 2;
    const width = Math.max(0, Math.min(BAR_WIDTH, room));
    const filled = Math.round(fraction * width);
    const bar = '█'.repeat(filled) + dim('░'.repeat(width - filled), this.#stream);
    const end = rest && room - width >= rest.length + 2 ? `  ${rest}` : '';
    liveLine.show(`${part} ${bar} ${figures}${end}`);
  }

  /** Says what is waited for, at once: for work of which nobody knows how long it takes. */
  wait(part: string): void {
    if (this.#stream.isTTY) liveLine.show(part);
    else this.note(part);
  }

  /** A line of its own, above the progress line. */
  note(text: string): void {
    this.clear();
    this.#stream.write(`${text}\n`);
  }

  clear(): void {
    liveLine.clear();
  }
}

/** Shows what `loadModel`, `pullModel` and `quantizeModel` report. */
export function loadReporter(progress: Progress): (event: LoadProgress) => void {
  return (event) => {
    const { loaded, total, note } = event;
    if (note) progress.note('file' in event ? `${event.file.name}: ${note}` : note);
    else if (event.phase === 'resolve' && loaded === 0) progress.wait(`Looking up ${event.source} …`);
    else if (event.phase === 'download')
      progress.show('Downloading', loaded, total, pace(loaded, total, event.bytesPerSecond));
    else if (event.phase === 'load' && process.stderr.isTTY) progress.show('Loading', loaded, total);
  };
}

/** "12.3 MiB/s, 40 s left"; empty while nothing is known. */
export function pace(doneBytes: number, totalBytes: number, bytesPerSecond: number): string {
  if (!(bytesPerSecond > 0)) return '';
  const left = ((totalBytes - doneBytes) / bytesPerSecond) * 1000;
  return `${bytes(bytesPerSecond)}/s, ${duration(left)} left`;
}
