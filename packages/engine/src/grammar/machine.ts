// What every compiled grammar is: a deterministic machine over bytes, whose states are numbers. Masks, tests
// of whole texts and sessions need nothing else of it, whatever it was compiled from.
import type { Dfa } from './regular/dfa.ts';

/** The state from which nothing leads to a text of the language. */
export const DEAD = 0;

/**
 * A language of byte strings, read byte by byte. States are interned: equal numbers behave alike, and a state
 * other than DEAD has a way to an accepting one, so that a mask is never empty. Numbers mean nothing outside
 * this object: a state is saved as the bytes that led to it, and restored by reading them again.
 */
export interface Machine {
  /** Where every text begins. Never DEAD: a language without texts is refused when it is compiled. */
  readonly start: number;
  /**
   * The state after one more byte, DEAD where no text of the language goes on so. Throws GrammarError when
   * the text needs more states than the bounds allow.
   */
  step(state: number, byte: number): number;
  /** Whether a text may end here. */
  accepts(state: number): boolean;
  /**
   * The part of the grammar that the state is inside of, so that masks can be kept by it; null where there is
   * none. The promise, for any bytes that follow: while the lexeme's automaton lives, so does the machine;
   * and if the machine lives on where the automaton has died, the bytes before had reached one of its exits
   * (`Dfa.exits`).
   */
  lexeme(state: number): Lexeme | null;
  /**
   * A state that allows the same bytes for the length of any token, and is shared by more texts: what the machine
   * remembers for later only (the free keys of an object, say) may be missing from it. Masks are kept by it.
   */
  twin?(state: number): number;
}

/** A place in an automaton that a machine follows for a while. */
export interface Lexeme {
  readonly dfa: Dfa;
  /** Not DEAD. */
  readonly state: number;
  /** Nothing comes after the lexeme: where its automaton dies, so does the machine. */
  readonly isLast?: boolean;
  /** What comes after the lexeme begins with no ordinary character (`Dfa.ordinaryCharacters`): with a quote. */
  readonly isQuoted?: boolean;
}

/** A regular language as a machine. */
export function regularMachine(dfa: Dfa): Machine {
  return {
    start: dfa.start,
    step: (state, byte) => dfa.step(state, byte),
    accepts: (state) => dfa.accepts(state),
    lexeme: (state) => ({ dfa, state, isLast: true }),
  };
}

/** The state after these bytes. */
export function run(machine: Pick<Machine, 'step'>, state: number, bytes: Iterable<number>): number {
  for (const byte of bytes) {
    if (state === DEAD) return DEAD;
    state = machine.step(state, byte);
  }
  return state;
}

/** Whether the bytes are a whole text of the machine's language. */
export function acceptsWhole(machine: Machine, bytes: Iterable<number>): boolean {
  return machine.accepts(run(machine, machine.start, bytes));
}
