// Every error that this package throws on purpose. A message about a file, a number or an option names the
// subject, what was expected, what was found and the remedy: "model.gguf: tensor blk.0.ssm_in.weight: offset
// 99999 + 4096 bytes lies outside the file (12345 bytes). The file is truncated; download it again." A
// message about a state is a plain sentence: "session is busy: await the running step first".

/** Why a `FormatError` was thrown. */
export type FormatErrorCode =
  /** The content is damaged, cut short, hostile or of an unknown kind. */
  | 'damaged-file'
  /** There is no such file, or it cannot be read. */
  | 'missing-file';

/** Why a `ModelError` was thrown. */
export type ModelErrorCode =
  /** The architecture, a tensor or a size is one that this engine cannot run. */
  | 'unsupported-model'
  /** Weights, plan or state do not fit the memory that WebAssembly can address. */
  | 'out-of-memory'
  /** A thread died, failed in a kernel or could not be started; `cause` says why. Load the model again. */
  | 'worker-failed'
  /** Kernels could not be fetched or compiled, or some are missing; the message says what to do. */
  | 'missing-kernels';

/** Why a `StateError` was thrown. */
export type StateErrorCode =
  /** The saved session is damaged or cut short. */
  | 'damaged-state'
  /**
   * The state is whole, but of another model, cache type or context length, or does not reach that position.
   */
  | 'state-mismatch';

/** Why a `UsageError` was thrown. */
export type UsageErrorCode =
  /** An argument or option is unknown, of the wrong type or out of range. */
  | 'bad-argument'
  /** The session, snapshot or model was closed. */
  | 'closed'
  /** A step, save or restore is under way in this session. */
  | 'busy'
  /** The session or snapshot belongs to another model. */
  | 'other-model';

/** Why a `HubError` was thrown. */
export type HubErrorCode =
  /** The hub answered something that makes no sense, or refused for a reason of its own. */
  | 'hub-failed'
  /** No such model, revision or file. */
  | 'not-found'
  /** Private, gated, or the token may not read it. */
  | 'not-permitted'
  /** No answer: no network, a name that does not resolve, a server that is down or too busy. */
  | 'unreachable'
  /** What arrived does not have the published checksum. */
  | 'damaged-download'
  /** No room on the disk or in the browser's storage, or no permission to write there. */
  | 'storage'
  /** Offline was asked for, and the cache does not hold the whole model. */
  | 'offline';

/** Why a `GrammarError` was thrown. */
export type GrammarErrorCode =
  /** It uses what cannot be enforced; `refused` lists it. */
  | 'unsupported-grammar'
  /** It is not well formed: a syntax error, a rule that is missing, a language without texts. */
  | 'invalid-grammar'
  /** It is larger than the bounds of depth, size, states or time. */
  | 'grammar-limit';

/** A part of a schema, pattern or grammar that is refused rather than not enforced. */
export interface Refusal {
  /** The keyword, syntax or rule. */
  readonly keyword: string;
  /** Where: a JSON pointer into a schema, a line and column of a grammar, a place in a pattern. */
  readonly pointer: string;
  /** Why it cannot be enforced, and what to write instead where there is something. */
  readonly reason: string;
}

/** Every value of `MarimbaError.code`. Stable: codes are added, never renamed. */
export type ErrorCode =
  | FormatErrorCode
  | ModelErrorCode
  | StateErrorCode
  | UsageErrorCode
  | HubErrorCode
  | GrammarErrorCode;

/** Options of the constructors: a code other than the class's first, and the error that led here. */
export interface ErrorDetails<Code extends ErrorCode = ErrorCode> {
  /** Default: the class's first code. */
  readonly code?: Code | undefined;
  /** The error that led to this one. */
  readonly cause?: unknown;
}

/**
 * The base of every error that this package throws on purpose, also of those that began in a worker thread.
 * Aborts are none: they reject with the signal's own reason. Anything else that is thrown is a bug of the
 * package.
 */
export abstract class MarimbaError extends Error {
  /** The class's own name, also across copies of this package. */
  abstract override readonly name: string;
  /** What went wrong, for programs. Messages may change from release to release, codes do not. */
  readonly code: ErrorCode;

  /** Used by the subclasses, each with its own default code. */
  constructor(message: string, code: ErrorCode, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
  }
}

/** A file is missing, damaged, hostile or of an unknown kind. Nothing of it was kept. */
export class FormatError extends MarimbaError {
  override readonly name = 'FormatError';
  declare readonly code: FormatErrorCode;

  constructor(message: string, details: ErrorDetails<FormatErrorCode> = {}) {
    super(message, details.code ?? 'damaged-file', details);
  }
}

/**
 * The model cannot be run: unknown architecture, missing tensor, wrong shape, too large, or its threads died.
 */
export class ModelError extends MarimbaError {
  override readonly name = 'ModelError';
  declare readonly code: ModelErrorCode;

  constructor(message: string, details: ErrorDetails<ModelErrorCode> = {}) {
    super(message, details.code ?? 'unsupported-model', details);
  }
}

/**
 * A saved or live session does not fit what is asked of it: another model's state, a position beyond its end.
 */
export class StateError extends MarimbaError {
  override readonly name = 'StateError';
  declare readonly code: StateErrorCode;

  constructor(message: string, details: ErrorDetails<StateErrorCode> = {}) {
    super(message, details.code ?? 'state-mismatch', details);
  }
}

/** The caller passed something that cannot mean anything, or used what is closed or busy. */
export class UsageError extends MarimbaError {
  override readonly name = 'UsageError';
  declare readonly code: UsageErrorCode;

  constructor(message: string, details: ErrorDetails<UsageErrorCode> = {}) {
    super(message, details.code ?? 'bad-argument', details);
  }
}

/** A model could not be fetched: not found, not permitted, unreachable, damaged on the way, no space left. */
export class HubError extends MarimbaError {
  override readonly name = 'HubError';
  declare readonly code: HubErrorCode;

  constructor(message: string, details: ErrorDetails<HubErrorCode> = {}) {
    super(message, details.code ?? 'hub-failed', details);
  }
}

/**
 * A schema, pattern or grammar that output cannot be held to: broken, larger than the bounds, or using what
 * cannot be enforced. Thrown before anything is generated; during a generation only where the text itself
 * needs more states than the bounds allow.
 */
export class GrammarError extends MarimbaError {
  override readonly name = 'GrammarError';
  declare readonly code: GrammarErrorCode;
  /** What is refused, each with its place and reason; empty for a bound. */
  readonly refused: readonly Refusal[];

  constructor(
    message: string,
    details: ErrorDetails<GrammarErrorCode> & { readonly refused?: readonly Refusal[] } = {},
  ) {
    super(message, details.code ?? 'invalid-grammar', details);
    this.refused = details.refused ?? [];
  }
}

const CLASSES = { FormatError, ModelError, StateError, UsageError, HubError, GrammarError } as const;

/** An error as it crosses to another thread: structured cloning keeps neither class nor code. */
export interface ErrorRecord {
  readonly name: string;
  readonly message: string;
  readonly code: string | null;
  readonly stack: string | null;
  readonly cause: ErrorRecord | null;
}

/** Causes of causes that go along; more are a circle. */
const MAX_CAUSES = 8;

/** What `reviveError` needs to rebuild an error in another thread. */
export function recordError(error: unknown, depth = 0): ErrorRecord {
  if (!(error instanceof Error))
    return { name: 'Error', message: String(error), code: null, stack: null, cause: null };
  const { name, message, cause } = error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null;
  const hasCause = cause !== undefined && cause !== null && depth < MAX_CAUSES;
  return {
    name,
    message,
    code,
    stack: error.stack ?? null,
    cause: hasCause ? recordError(cause, depth + 1) : null,
  };
}

/** The error that a record was made of, with its class, code, stack and causes. */
export function reviveError({ name, message, code, stack, cause }: ErrorRecord): Error {
  const details = cause === null ? {} : { cause: reviveError(cause) };
  const known = Object.hasOwn(CLASSES, name) ? CLASSES[name as keyof typeof CLASSES] : null;
  const error = known
    ? new known(message, { ...details, ...(code === null ? {} : { code: code as never }) })
    : Object.assign(new Error(message, details), { name }, code === null ? {} : { code });
  if (stack !== null) error.stack = stack;
  return error;
}
