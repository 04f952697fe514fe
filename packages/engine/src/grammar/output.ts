// What an output can be held to, compiled: a schema, a regular expression or a grammar, as one machine.
import { GrammarError, UsageError } from '../errors.ts';
import type { JsonValue } from '../formats/types.ts';
import { contextFreeMachine } from './context-free/machine.ts';
import { parseEbnf } from './ebnf/parse.ts';
import { compileSchema, type SchemaOptions } from './json/compile-schema.ts';
import type { SchemaWarning } from './json/translate.ts';
import { DEFAULT_LIMITS, type GrammarLimits } from './limits.ts';
import { DEAD, type Machine, regularMachine } from './machine.ts';
import { Dfa } from './regular/dfa.ts';
import { regexLanguage } from './regular/regex.ts';
import { isStandardSchema, jsonSchemaOf, type OutputIssue, type StandardSchema } from './standard-schema.ts';

export type { OutputIssue } from './standard-schema.ts';

/**
 * A whole text that matches a regular expression in ECMAScript's syntax (flag u), from its start to its end.
 */
export interface RegexOutput {
  /** The expression, without slashes. */
  readonly regex: string;
}

/** A text that rule `root` of a grammar derives, in the notation of llama.cpp (GBNF). */
export interface GrammarOutput {
  /** The grammar's text. */
  readonly grammar: string;
}

/** A JSON text that is valid against a schema (drafts 2020-12 and 7). */
export interface SchemaOutput extends SchemaOptions {
  /**
   * The schema as JSON.parse returns it, or a schema of a library that follows Standard Schema and writes
   * JSON Schema: zod, valibot, arktype.
   */
  readonly schema: unknown;
}

/** What a text is held to. */
export type OutputFormat = RegexOutput | GrammarOutput | SchemaOutput;

/** What an answer is held to, and where it began. */
export type OutputOptions = OutputFormat & {
  /**
   * Index into the session's tokens, the prompt's included, at which the answer begins: what follows it
   * belongs to the answer already. So an answer that was cut is continued, also in a fork, after a rewind or
   * a restore. Default: the answer begins with the first generated token.
   */
  readonly from?: number | undefined;
};

/** The type of a generation's `value`, by its options. */
export type OutputValue<Options> =
  Options extends HasOutput<infer Output>
    ? Output extends HasSchema<infer Schema>
      ? Schema extends StandardSchema<infer Value>
        ? Value
        : JsonValue
      : string
    : unknown;

/** Options with an output format. */
interface HasOutput<Output> {
  /** The format. */
  readonly output: Output;
}

/** A format that is a schema. */
interface HasSchema<Schema> {
  /** The schema. */
  readonly schema: Schema;
}

/** A text's meaning: a value, or what is wrong with it. */
export type OutputMeaning = { readonly value: unknown } | { readonly issues: readonly OutputIssue[] };

/** An output format that is ready for use. */
export interface CompiledOutput {
  readonly machine: Machine;
  /** What a whole text means. */
  parse(text: string): OutputMeaning | Promise<OutputMeaning>;
  /** What of a schema is ignored: unknown keywords and formats. */
  readonly warnings: readonly SchemaWarning[];
}

const KINDS = ['schema', 'regex', 'grammar'] as const;

/**
 * Compiles what an output is held to. Throws GrammarError for what is broken, cannot be enforced, or is
 * beyond the bounds of size; UsageError for anything but one of the formats.
 */
export function compileOutput(format: OutputFormat): CompiledOutput {
  const kinds = KINDS.filter((kind) => Object.hasOwn(Object(format), kind));
  const [kind] = kinds;
  if (kinds.length !== 1 || kind === undefined)
    throw new UsageError(
      `output: expected one of ${KINDS.join(', ')}, found ${kinds.join(' and ') || 'none'}`,
    );
  if (kind === 'schema') return schemaOutput(format as SchemaOutput);
  const source: unknown = (format as RegexOutput & GrammarOutput)[kind];
  if (typeof source !== 'string')
    throw new UsageError(
      `output.${kind}: expected a text, found ${source === null ? 'null' : typeof source}`,
    );
  const limits = { ...DEFAULT_LIMITS, subject: kind };
  const machine = kind === 'regex' ? regexMachine(source, limits) : grammarMachine(source, limits);
  return { machine, parse: (text) => ({ value: text }), warnings: [] };
}

function schemaOutput({ schema, ...options }: SchemaOutput): CompiledOutput {
  const library = isStandardSchema(schema) ? schema : null;
  return {
    ...compileSchema(library ? jsonSchemaOf(library) : schema, options),
    async parse(text) {
      const value: unknown = JSON.parse(text);
      if (!library) return { value };
      const outcome = await library['~standard'].validate(value);
      return outcome.issues ? { issues: outcome.issues } : { value: outcome.value };
    },
  };
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
