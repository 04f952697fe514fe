// Schemas of validating libraries (zod, valibot, arktype): the Standard Schema interface and its JSON Schema
// companion (standardschema.dev), without a dependency on any of them.
import { UsageError } from '../errors.ts';

/** Something that is wrong with a value, as a validating library says it. */
export interface OutputIssue {
  /** For people. */
  readonly message: string;
  /** Keys and indexes from the root to the place. */
  readonly path?: readonly unknown[] | undefined;
}

/** What validating comes to. */
type Outcome<Output> = Valid<Output> | Invalid;

/** A value that is valid. */
interface Valid<Output> {
  /** What the library makes of it. */
  readonly value: Output;
  /** Absent. */
  readonly issues?: undefined;
}

/** A value that is not. */
interface Invalid {
  /** What is wrong. */
  readonly issues: readonly OutputIssue[];
}

/** A schema of a library that follows Standard Schema, version 1. */
export interface StandardSchema<Output = unknown> {
  /** The interface of Standard Schema. */
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Outcome<Output> | Promise<Outcome<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** Whether it is a schema of a validating library. */
export function isStandardSchema(schema: unknown): schema is StandardSchema {
  const kind = typeof schema;
  if ((kind !== 'object' && kind !== 'function') || schema === null) return false;
  const standard = (schema as Record<string, unknown>)['~standard'];
  return typeof standard === 'object' && standard !== null && 'validate' in standard;
}

/** The JSON Schema of what the library accepts. Throws UsageError where it gives none. */
export function jsonSchemaOf(schema: StandardSchema): unknown {
  const standard = schema['~standard'] as unknown as Record<string, unknown>;
  const companion = standard.jsonSchema as { input?: (options: { target: string }) => unknown } | undefined;
  const own = schema as unknown as Record<string, unknown>;
  const convert = [own.toJSONSchema, own.toJsonSchema].find((one) => typeof one === 'function');
  try {
    if (typeof companion?.input === 'function') return companion.input({ target: 'draft-2020-12' });
    if (typeof convert === 'function') return convert.call(schema);
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(
      `output.schema: ${String(standard.vendor)} cannot write it as JSON Schema: ${said}`,
      { cause },
    );
  }
  throw new UsageError(
    `output.schema: expected a schema of ${String(standard.vendor)} that can be written as JSON Schema, found one that cannot. ` +
      'Pass its JSON Schema (zod: z.toJSONSchema(schema); valibot: toJsonSchema of @valibot/to-json-schema).',
  );
}
