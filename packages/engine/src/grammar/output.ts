// What an output can be held to, compiled: a schema, a regular expression or a grammar, as one machine.
import { GrammarError, UsageError } from '../errors.ts';
import { contextFreeMachine } from './context-free/machine.ts';
import { parseEbnf } from './ebnf/parse.ts';
import { DEFAULT_LIMITS, type GrammarLimits } from './limits.ts';
import { DEAD, type Machine, regularMachine } from './machine.ts';
import { Dfa } from './regular/dfa.ts';
import { regexLanguage } from './regular/regex.ts';

/**
 * A whole text that matches a regular expression in ECMAScript's syntax (flag u), from its start to its end.
 */
export interface RegexOutput {
  readonly regex: string;
}

/** A text that rule `root` of a grammar derives, in the notation of llama.cpp (GBNF). */
export interface GrammarOutput {
  readonly grammar: string;
}

/** What a text is held to. */
export type OutputFormat = RegexOutput | GrammarOutput;

/** An output format that is ready for use. */
export interface CompiledOutput {
  readonly machine: Machine;
  /** What a whole text means: the text itself. */
  parse(text: string): unknown;
}

/**
 * Compiles what an output is held to. Throws GrammarError for what is broken, cannot be enforced, or is
 * beyond the bounds of size; UsageError for anything but one of the formats.
 */
export function compileOutput(format: OutputFormat): CompiledOutput {
  const kinds = (['regex', 'grammar'] as const).filter((kind) => Object.hasOwn(Object(format), kind));
  const [kind] = kinds;
  if (kinds.length !== 1 || kind === undefined)
    throw new UsageError(
      `output: expected one of regex or grammar, found ${kinds.join(' and ') || 'neither'}`,
    );
  const source: unknown = (format as RegexOutput & GrammarOutput)[kind];
  if (typeof source !== 'string')
    throw new UsageError(
      `output.${kind}: expected a text, found ${source === null ? 'null' : typeof source}`,
    );
  const limits = { ...DEFAULT_LIMITS, subject: kind };
  const machine = kind === 'regex' ? regexMachine(source, limits) : grammarMachine(source, limits);
  return { machine, parse: (text) => text };
}

function regexMachine(source: string, limits: GrammarLimits): Machine {
  const dfa = new Dfa(regexLanguage(source, { limits }), limits);
  if (dfa.start === DEAD)
    throw new GrammarError(`${limits.subject}: expected an expression that some text matches`);
  return regularMachine(dfa);
}

function grammarMachine(source: string, limits: GrammarLimits): Machine {
  return contextFreeMachine(parseEbnf(source, limits), limits);
}
