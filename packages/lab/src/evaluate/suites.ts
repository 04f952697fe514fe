// Suites of items from what a user types: NAME or NAME:LEVEL for the synthetic tasks, text-needle and
// text-variables for any model with a tokenizer, perplexity:FILE, questions:FILE.
import { UsageError } from '@marimba/engine';
import { testExamples } from '../tasks/batches.ts';
import { findTask, TASKS } from '../tasks/index.ts';
import { LEVELS, type Level } from '../tasks/task.ts';
import type { Suite, SuiteOptions, SuiteTarget } from './items.ts';
import { needleSuite, variablesSuite } from './long-texts.ts';
import { perplexitySuite } from './perplexity.ts';
import { questionSuite } from './questions.ts';

export const SUITE_FORMS = [
  ...TASKS.map((t) => t.name),
  'text-needle',
  'text-variables',
  'perplexity:FILE',
  'questions:FILE',
];

/**
 * Makes a suite from its name: a synthetic task (`recall`, or `recall:large` for a level; default small),
 * `text-needle`, `text-variables`, `perplexity:FILE` or `questions:FILE`. Throws UsageError for an unknown
 * name, and for a task that needs more tokens, a longer context or a tokenizer; FormatError for a file that
 * cannot be read as text or questions.
 */
export async function buildSuite(
  name: string,
  target: SuiteTarget,
  options: SuiteOptions = {},
): Promise<Suite> {
  const colon = name.indexOf(':');
  const head = colon < 0 ? name : name.slice(0, colon);
  const rest = colon < 0 ? '' : name.slice(colon + 1);
  if (head === 'text-needle') return needleSuite(target, options);
  if (head === 'text-variables') return variablesSuite(target, options);
  if (head === 'perplexity') return perplexitySuite(needFile(name, rest), target, options);
  if (head === 'questions') return questionSuite(needFile(name, rest), target, options);
  if (!TASKS.some((t) => t.name === head))
    throw new UsageError(`task: expected one of ${SUITE_FORMS.join(', ')}, found ${JSON.stringify(name)}`);
  return syntheticSuite(head, rest || 'small', target, options);
}

function needFile(name: string, file: string): string {
  if (file === '')
    throw new UsageError(
      `task ${name}: expected a file after a colon, such as ${name.replace(':', '')}:data.jsonl`,
    );
  return file;
}

function syntheticSuite(
  name: string,
  level: string,
  target: SuiteTarget,
  { items = 100, seed = 0 }: SuiteOptions,
): Suite {
  const known = LEVELS.find((l) => l === level);
  if (!known)
    throw new UsageError(
      `task ${name}:${level}: expected a level among ${LEVELS.join(', ')}, found ${level}`,
    );
  const task = findTask(name);
  const instance = task.at(known satisfies Level);
  if (instance.vocabularySize > target.vocabularySize)
    throw new UsageError(
      `task ${name}:${level}: expected a model with at least ${instance.vocabularySize} tokens, found ${target.vocabularySize} in ${target.name}. This task is for models trained on it.`,
    );
  if (instance.maxLength > target.contextLength)
    throw new UsageError(
      `task ${name}:${level}: expected a context of at least ${instance.maxLength} tokens, found ${target.contextLength} in ${target.name}`,
    );
  const examples = testExamples(instance, items, seed);
  return {
    name: `${name}:${level}`,
    title: task.title,
    source: task.source,
    chance: instance.chance,
    items: examples.map(({ tokens, answers }, i) => ({
      kind: 'sequence',
      id: `${seed}-${i}`,
      tokens,
      answers,
    })),
  };
}
