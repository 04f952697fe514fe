// How much a template may do. Templates come out of downloaded files: one that loops, recurses or grows without
// end is stopped with an error instead of taking the process down.

import { LimitError } from './errors.ts';

/** Characters of a template. The longest published one has 30,000. */
export const LONGEST_TEMPLATE = 1 << 20;
/** Nested expressions and statements of a template, so that neither parsing nor evaluating exhausts the stack. */
export const DEEPEST_TEMPLATE = 300;
/** Characters of a text that a template makes, its output included. */
const LONGEST_TEXT = 1 << 27;
export const LONGEST_LIST = 1 << 20;
/** Bits of an integer: 2,000 digits. */
const LONGEST_INTEGER = 6644;
/** Macros and recursive loops inside each other. Python stops at about 250. */
const DEEPEST_CALLS = 200;
/** A long conversation takes about 400 steps per message. */
const MOST_STEPS = 5_000_000;
/** Characters that are read or written in one step's time. */
const STEP_CHARACTERS = 32;

/** One rendering's allowance. Every operation pays for what it does before it does it. */
export class Budget {
  #steps: number;
  #depth = 0;

  /** `inputSize`: characters of the conversation, which a template may read a hundred times over. */
  constructor(inputSize = 0) {
    this.#steps = MOST_STEPS + 4 * inputSize;
  }

  spend(steps: number): void {
    this.#steps -= steps;
    if (this.#steps < 0) throw new LimitError(`it does not end within ${MOST_STEPS} steps`);
  }

  /** Pays for a text of this length that is read or made. */
  text(length: number): void {
    if (length > LONGEST_TEXT) throw new LimitError(`it makes a text longer than ${LONGEST_TEXT} characters`);
    this.spend(length / STEP_CHARACTERS);
  }

  /** A text that is joined without being copied: only its length counts. */
  joined(length: number): void {
    if (length > LONGEST_TEXT) throw new LimitError(`it makes a text longer than ${LONGEST_TEXT} characters`);
  }

  /** Pays for a list of this length. */
  list(length: number): void {
    if (length > LONGEST_LIST) throw new LimitError(`it makes a list longer than ${LONGEST_LIST}`);
    this.spend(length);
  }

  /** An integer of about this many bits. */
  integer(bits: number): void {
    if (bits > LONGEST_INTEGER)
      throw new LimitError(`it makes an integer of more than ${LONGEST_INTEGER} bits`);
    this.spend(bits / 64);
  }

  enter(): void {
    if (++this.#depth > DEEPEST_CALLS)
      throw new LimitError(`its macros or loops are nested more than ${DEEPEST_CALLS} deep`);
  }

  leave(): void {
    this.#depth--;
  }
}
