// Chat templates in Jinja, as Jinja2 3.1 runs them in transformers' environment: its immutable sandbox with
// trim_blocks and lstrip_blocks, loop controls, {% generation %}, tojson without HTML escapes, raise_exception and
// strftime_now. With limits, since templates come out of downloaded files.

import { LimitError, Refusal, TemplateError } from './errors.ts';
import type { Library } from './evaluator.ts';
import { LIST_FILTERS } from './filters-lists.ts';
import { TEXT_FILTERS } from './filters-text.ts';
import { VALUE_FILTERS } from './filters-values.ts';
import { GLOBALS } from './globals.ts';
import { Interpreter } from './interpreter.ts';
import { Budget, LONGEST_TEMPLATE } from './limits.ts';
import type { Body, Statement } from './nodes.ts';
import { parse } from './parser.ts';
import { resolveNames } from './symbols.ts';
import { testsOf } from './tests.ts';
import { URLIZE_FILTERS } from './urlize.ts';
import type { Native, Value } from './values.ts';
import { statementsOf } from './walk.ts';

const filters = new Map<string, Native>([
  ...TEXT_FILTERS,
  ...LIST_FILTERS,
  ...VALUE_FILTERS,
  ...URLIZE_FILTERS,
]);
const filterNames: ReadonlySet<string> = new Set(filters.keys());
const LIBRARY: Library = { filters, tests: testsOf(filterNames), globals: GLOBALS };
const KNOWN = { filters: filterNames, tests: new Set(LIBRARY.tests.keys()) };

export interface RenderOptions {
  /** Characters of the values that are passed, which add to what the template may do. Default: 0. */
  readonly inputSize?: number;
  /** The clock of `strftime_now`. Default: the machine's. */
  readonly now?: () => Date;
}

export class JinjaTemplate {
  readonly body: Body;
  readonly #blocks = new Map<string, Statement & { kind: 'Block' }>();

  /** Throws TemplateError or LimitError, with the line, for what is not a template. */
  constructor(source: string) {
    if (source.length > LONGEST_TEMPLATE)
      throw new LimitError(`it is longer than ${LONGEST_TEMPLATE} characters (${source.length})`);
    this.body = withStackGuard(() => {
      const body = parse(source);
      resolveNames(body, KNOWN);
      return body;
    });
    this.#findBlocks(this.body.statements);
  }

  #findBlocks(statements: readonly Statement[]): void {
    for (const statement of statements) {
      if (statement.kind === 'Block') this.#blocks.set(statement.name, statement);
      this.#findBlocks(statementsOf(statement));
    }
  }

  /** Throws Refusal, TemplateError or LimitError, with the line. */
  render(variables: ReadonlyMap<string, Value>, options: RenderOptions = {}): string {
    const { inputSize = 0, now = () => new Date() } = options;
    const interpreter = new Interpreter(LIBRARY, new Budget(inputSize), now, this.#blocks);
    try {
      return withStackGuard(() => interpreter.render(this.body, new Map(variables)));
    } catch (error) {
      if (error instanceof TemplateError || error instanceof Refusal || error instanceof LimitError)
        error.line ||= interpreter.line;
      throw error;
    }
  }
}

/** Says in the template's terms that the stack is used up: what is nested stands inside what is nested. */
function withStackGuard<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof RangeError) throw new LimitError('it is nested too deep');
    throw error;
  }
}
