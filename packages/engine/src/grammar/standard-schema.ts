// Schemas of validating libraries (zod, valibot, arktype): the Standard Schema interface and its JSON Schema
// companion (standardschema.dev), without a dependency on any of them.

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
