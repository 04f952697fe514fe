// Lets everything else on a thread run now and then during long work: painting, timers, abort signals.
import { nextTurn } from '#platform';

/** Long enough that turns cost nothing measurable, short enough for a page that scrolls. */
const HOLD_MS = 25;

/**
 * Knows when the thread was last given back. One per backend, not per step: steps that are each shorter than
 * the hold would otherwise keep the thread for as long as they follow each other through promises alone.
 */
export class TurnClock {
  readonly #now: () => number;
  readonly #next: () => Promise<void>;
  #since: number;

  constructor(now: () => number = () => performance.now(), next: () => Promise<void> = nextTurn) {
    this.#now = now;
    this.#next = next;
    this.#since = now();
  }

  /** A promise to await when the thread was held long enough, null to continue at once. */
  pause(): Promise<void> | null {
    return this.#now() - this.#since > HOLD_MS ? this.#turn() : null;
  }

  async #turn(): Promise<void> {
    await this.#next();
    this.#since = this.#now();
  }
}
