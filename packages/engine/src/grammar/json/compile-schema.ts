// JSON Schema as a machine: whatever it accepts is valid, whatever it cannot hold a text to is refused before it runs.
import { GrammarError, type Refusal } from '../../errors.ts';
import type { Machine } from '../machine.ts';
import { RuleCompiler } from './compile-rules.ts';
import { parseSchema, SchemaDocument } from './document.ts';
import { CannotEnforce } from './expression.ts';
import type { PropertyOrder } from './frames.ts';
import { JsonMachine } from './json-machine.ts';
import type { FormatMode } from './keyword.ts';
import { TooManyPieces } from './number-set.ts';
import type { NumberSpelling } from './number-text.ts';
import { Shapes } from './shapes.ts';
import type { Whitespace } from './stepper.ts';
import { type SchemaWarning, Translator } from './translate.ts';

export interface SchemaOptions {
  /** Default `flexible`: whitespace wherever JSON allows it. */
  readonly whitespace?: Whitespace | undefined;
  /** Default `any`. */
  readonly order?: PropertyOrder | undefined;
  /** Default `any`. */
  readonly numbers?: NumberSpelling | undefined;
  /** Default `assert`. */
  readonly formats?: FormatMode | undefined;
}

export interface CompiledSchema {
  readonly machine: Machine;
  /** What is ignored: unknown keywords and formats. */
  readonly warnings: readonly SchemaWarning[];
}

/**
 * The machine of a JSON Schema (drafts 2020-12 and 7), given as a value. Throws GrammarError, with all refusals, for what
 * cannot be enforced, is no schema, or holds for no value.
 */
export function compileSchema(schema: unknown, options: SchemaOptions = {}): CompiledSchema {
  const { whitespace = 'flexible', order = 'any', numbers = 'any', formats = 'assert' } = options;
  const translator = new Translator(new SchemaDocument(parseSchema(schema)), formats, order === 'declared');
  const rule = guarded(translator, () => {
    const root = translator.root();
    return new RuleCompiler(translator.x, new Shapes(translator.x)).compile(root);
  });
  if (translator.refused.length > 0) throw refusal(translator.refused);
  if (!rule?.lives) {
    throw refusal([{ keyword: 'schema', pointer: '', reason: 'no value is valid' }]);
  }
  return { machine: new JsonMachine(rule, { whitespace, order, numbers }), warnings: translator.warnings };
}

/** Null where something was refused on the way. */
function guarded<T>(translator: Translator, make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    if (error instanceof CannotEnforce || error instanceof TooManyPieces) {
      const keyword = error instanceof CannotEnforce ? (error.keyword ?? 'schema') : 'multipleOf';
      translator.refused.push({ keyword, pointer: '', reason: error.message });
    } else if (error instanceof RangeError && /call stack/i.test(error.message)) {
      translator.refused.push({ keyword: 'schema', pointer: '', reason: 'schemas are nested too deep' });
    } else throw error;
    return null;
  }
}

function refusal(refused: readonly Refusal[]): GrammarError {
  const list = refused.map(
    ({ keyword, pointer, reason }) => `${keyword} at ${pointer || 'the root'}: ${reason}`,
  );
  return new GrammarError(`schema cannot be enforced: ${list.join('; ')}`, {
    code: 'unsupported-grammar',
    refused,
  });
}
