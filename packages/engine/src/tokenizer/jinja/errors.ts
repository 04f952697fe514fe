// What stops a template. Messages are Python's and Jinja2's own, so that a search for one finds the answers.

/** Python's and Jinja2's exceptions, as far as templates meet them. */
export type ErrorKind =
  | 'TypeError'
  | 'ValueError'
  | 'KeyError'
  | 'IndexError'
  | 'AttributeError'
  | 'AssertionError'
  | 'ZeroDivisionError'
  | 'OverflowError'
  | 'RuntimeError'
  | 'UndefinedError'
  | 'SecurityError'
  | 'FilterArgumentError'
  | 'TemplateRuntimeError'
  | 'TemplateSyntaxError';

/** The template is not valid, or an operation in it is not possible. */
export class TemplateError extends Error {
  readonly kind: ErrorKind;
  /** Counted from 1; 0 until it is known. */
  line = 0;

  constructor(kind: ErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** The template itself refuses the messages (`raise_exception`). */
export class Refusal extends Error {
  line = 0;
}

/** The template takes more steps, text or depth than any honest one. */
export class LimitError extends Error {
  line = 0;
}

/** What Python raises; never returns. */
export function fail(kind: ErrorKind, message: string): never {
  throw new TemplateError(kind, message);
}

export function syntaxError(message: string, line: number): never {
  const error = new TemplateError('TemplateSyntaxError', message);
  error.line = line;
  throw error;
}
