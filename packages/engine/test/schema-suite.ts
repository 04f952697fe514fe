// Runs the official JSON-Schema-Test-Suite (fixtures/json-schema) through the machines of schemas, byte by byte.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GrammarError } from '../src/errors.ts';
import { compileSchema } from '../src/grammar/json/compile-schema.ts';
import { acceptsWhole, type Machine } from '../src/grammar/machine.ts';

export const DRAFTS = ['draft2020-12', 'draft7'] as const;
export type Draft = (typeof DRAFTS)[number];

interface Group {
  readonly file: string;
  readonly description: string;
  readonly schema: unknown;
  readonly tests: readonly {
    readonly description: string;
    readonly data: unknown;
    readonly valid: boolean;
  }[];
}

export interface SuiteResult {
  /** Tests of groups whose schema is enforced. */
  readonly right: number;
  /** "file: group: test", for each that came out otherwise than it should. */
  readonly wronglyAccepted: readonly string[];
  readonly wronglyRejected: readonly string[];
  readonly refused: readonly RefusedGroup[];
}

export interface RefusedGroup {
  readonly file: string;
  readonly description: string;
  readonly tests: number;
  readonly keyword: string;
  readonly reason: string;
}

const folder = join(import.meta.dirname, '../../../fixtures/json-schema');
const utf8 = new TextEncoder();

/** Draft 7 is what the whole folder is; most of its schemas do not say so. */
function schemaOf({ schema }: Group, draft: Draft): unknown {
  if (draft === 'draft2020-12' || typeof schema !== 'object') return schema;
  return { $schema: 'http://json-schema.org/draft-07/schema#', ...schema };
}

/** The tests of format.json say what holds where formats only describe; those in optional/format are about their texts. */
function compileGroup(group: Group, draft: Draft): Machine | GrammarError {
  const formats = group.file === 'format' ? 'annotate' : 'assert';
  try {
    return compileSchema(schemaOf(group, draft), { formats }).machine;
  } catch (error) {
    if (error instanceof GrammarError) return error;
    throw error;
  }
}

const isNever = (error: GrammarError): boolean => error.refused.some(({ keyword }) => keyword === 'schema');

const results = new Map<Draft, SuiteResult>();

export function runSuite(draft: Draft): SuiteResult {
  const known = results.get(draft);
  if (known !== undefined) return known;
  const result = runGroups(draft);
  results.set(draft, result);
  return result;
}

function runGroups(draft: Draft): SuiteResult {
  const groups = JSON.parse(readFileSync(join(folder, `${draft}.json`), 'utf8')) as Group[];
  const wronglyAccepted: string[] = [];
  const wronglyRejected: string[] = [];
  const refused: RefusedGroup[] = [];
  let right = 0;
  for (const group of groups) {
    const { file, description, tests } = group;
    const machine = compileGroup(group, draft);
    // A schema that holds for nothing is refused; its tests then say that nothing is valid.
    if (machine instanceof GrammarError && !isNever(machine)) {
      const [{ keyword, reason }] = machine.refused;
      refused.push({ file, description, tests: tests.length, keyword, reason });
      continue;
    }
    for (const test of tests) {
      const accepted =
        !(machine instanceof GrammarError) && acceptsWhole(machine, utf8.encode(JSON.stringify(test.data)));
      if (accepted === test.valid) right++;
      else
        (accepted ? wronglyAccepted : wronglyRejected).push(`${file}: ${description}: ${test.description}`);
    }
  }
  return { right, wronglyAccepted, wronglyRejected, refused };
}

/** Where the table stands in docs/grammar.md. */
export const SUITE_PLACE = /(<!-- suite: begin -->).*(<!-- suite: end -->)/s;

/** The results as Markdown: totals, and what is refused with how many tests. */
export function suiteTable(): string {
  const lines = [
    '| | tests | right | refused | wrongly accepted | wrongly rejected |',
    '|---|---|---|---|---|---|',
  ];
  const refused: string[] = ['| Refused | reason | tests |', '|---|---|---|'];
  for (const draft of DRAFTS) {
    const result = runSuite(draft);
    const tests = result.refused.reduce((sum, group) => sum + group.tests, 0);
    const wrong = [result.wronglyAccepted.length, result.wronglyRejected.length];
    const total = result.right + tests + wrong[0] + wrong[1];
    lines.push(`| ${draft} | ${total} | ${result.right} | ${tests} | ${wrong.join(' | ')} |`);
    for (const { file, description, keyword, reason, tests: count } of result.refused) {
      const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
      refused.push(`| ${draft}/${file}: ${cell(description)} | \`${keyword}\`: ${cell(reason)} | ${count} |`);
    }
  }
  return [...lines, '', ...refused].join('\n');
}
