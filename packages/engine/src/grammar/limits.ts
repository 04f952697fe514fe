// Bounds of a compiled grammar. What is hostile, or larger than it can be handled, becomes an error that
// names its subject; nothing here ever runs for long or fills the memory.
import { GrammarError } from '../errors.ts';

export interface GrammarLimits {
  /** Said in errors: "schema", "pattern /properties/a/pattern", "grammar". */
  readonly subject: string;
  /** States of one automaton or machine, those that a long text makes included. */
  readonly states: number;
  /** Distinct subterms that derivatives make. */
  readonly terms: number;
}

/** Some 100 MB at the worst: a term takes about 100 bytes, a state its row of byte classes. */
export const DEFAULT_LIMITS: GrammarLimits = { subject: 'grammar', states: 400_000, terms: 600_000 };

/** The error of a bound that was met. */
export function tooLarge({ subject }: GrammarLimits, what: string, bound: number): GrammarError {
  return new GrammarError(
    `${subject}: expected at most ${bound} ${what}, found more. Simplify it: large counts and many overlapping ` +
      'alternatives multiply.',
    { code: 'grammar-limit' },
  );
}

/** Runs work on terms, which is recursive: terms that are nested too deep for it are an error like any other bound. */
export function withinStack<T>({ subject }: GrammarLimits, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RangeError && /call stack/i.test(error.message))) throw error;
    throw new GrammarError(`${subject}: expected parts that are nested less deep. Simplify it.`, {
      code: 'grammar-limit',
      cause: error,
    });
  }
}
