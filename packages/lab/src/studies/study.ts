// A study: a small typed file that names models, tasks, a budget and seeds. `export default defineStudy({ …
// })`.
import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from '@marimba/engine';
import { readSettings } from '../settings-file.ts';
import { findTask } from '../tasks/index.ts';
import type { TaskSize } from '../tasks/task.ts';
import type { Claim } from './claim.ts';
import { type ModelSizes, modelConfig, type StudyModel } from './model.ts';

export interface Budget {
  readonly steps: number;
  /** Sequences per step. */
  readonly sequences: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  /** How the rate falls after warm-up. */
  readonly schedule: 'cosine' | 'wsd' | 'constant';
  readonly weightDecay: number;
  readonly clipNorm: number;
  readonly adamBetas: readonly [number, number];
}

export const DEFAULT_BUDGET: Budget = {
  steps: 400,
  sequences: 16,
  learningRate: 3e-3,
  warmupSteps: 40,
  schedule: 'cosine',
  weightDecay: 0.1,
  clipNorm: 1,
  adamBetas: [0.9, 0.95],
};

/** A task with a known answer, or language modelling on text. */
export type StudyTask = SyntheticStudyTask | TextStudyTask;

interface TaskChoices {
  readonly budget?: Partial<Budget>;
  /** Only these models; default: all. */
  readonly models?: readonly string[];
  /** How many seeds to use, from the first on. Default: all. */
  readonly seedCount?: number;
}

export interface SyntheticStudyTask extends TaskChoices {
  readonly task: string;
  /** Under which results are listed; default: the task's. Needed when a task is in a study twice. */
  readonly name?: string;
  readonly size?: TaskSize;
  /**
   * Further sizes that the trained model is tested at (longer contexts, say). Their vocabularies must be the
   * same.
   */
  readonly alsoTest?: readonly Exclude<TaskSize, string>[];
  readonly testExamples?: number;
}

export interface TextStudyTask extends TaskChoices {
  readonly task: 'text';
  readonly name?: string;
  /** Text, JSONL, folders; relative to the study's file. */
  readonly text: readonly string[];
  /** A byte-level BPE of this size is learned from the training part. */
  readonly vocabulary: number;
  readonly length: number;
  readonly testTokens?: number;
}

export interface StudyDefinition {
  readonly name: string;
  readonly title: string;
  readonly about?: string;
  readonly sizes: ModelSizes;
  readonly models: readonly StudyModel[];
  readonly tasks: readonly StudyTask[];
  readonly budget?: Partial<Budget>;
  readonly seeds: readonly number[];
  /** Context lengths at which costs are listed. */
  readonly contexts?: readonly number[];
  readonly claims?: readonly Claim[];
  /** What `--short` changes: for a check that everything works. */
  readonly short?: Partial<Pick<StudyDefinition, 'sizes' | 'models' | 'tasks' | 'budget' | 'seeds'>>;
}

/** A study with where its file lies, so that its texts are found. */
export interface Study extends Omit<StudyDefinition, 'short'> {
  readonly folder: string;
  readonly isShort: boolean;
}

export const taskName = (task: StudyTask): string => task.name ?? task.task;

/** Checks what types cannot. Throws UsageError that names the study and the field. */
export function defineStudy(definition: StudyDefinition): StudyDefinition {
  const { name, models = [], tasks = [], seeds = [] } = definition;
  const fail = (field: string, expected: string, found: unknown): never => {
    throw new UsageError(`study ${name}: ${field}: expected ${expected}, found ${JSON.stringify(found)}`);
  };
  if (!/^[\w.-]+$/.test(name)) fail('name', 'letters, digits, dots and hyphens', name);
  if (!models.length) fail('models', 'at least one', []);
  if (!tasks.length) fail('tasks', 'at least one', []);
  if (
    !seeds.length ||
    new Set(seeds).size < seeds.length ||
    !seeds.every((s) => Number.isInteger(s) && s >= 0 && s < 2 ** 24)
  )
    fail('seeds', 'different whole numbers from 0 to 16777215', seeds);
  const twice = (list: readonly string[]) => list.find((n, i) => list.indexOf(n) !== i);
  const sameModel = twice(models.map((m) => m.name));
  if (sameModel !== undefined) fail('models', 'different names', sameModel);
  const sameTask = twice(tasks.map(taskName));
  if (sameTask !== undefined) fail('tasks', 'different names (give one a `name`)', sameTask);
  for (const task of tasks) {
    const unknown = task.models?.find((m) => !models.some((model) => model.name === m));
    if (unknown !== undefined)
      fail(`task ${taskName(task)}: models`, `names among ${models.map((m) => m.name).join(', ')}`, unknown);
    checkBudget({ ...DEFAULT_BUDGET, ...definition.budget, ...task.budget }, (field, expected, found) =>
      fail(`${taskName(task)}: budget: ${field}`, expected, found),
    );
    if (!('text' in task)) checkSizes(task);
  }
  for (const model of models) modelConfig(model, definition.sizes, 2, 1);
  const { short, ...whole } = definition;
  if (short) defineStudy({ ...whole, ...short });
  return definition;
}

function checkSizes({ task, size = 'small', alsoTest = [] }: SyntheticStudyTask): void {
  const trained = findTask(task).at(size);
  for (const other of alsoTest) {
    const tested = findTask(task).at(mergeSize(size, other));
    if (tested.vocabularySize !== trained.vocabularySize)
      throw new UsageError(
        `task ${task}: alsoTest: expected sizes with the vocabulary of the trained one (${trained.vocabularySize}), found ${tested.vocabularySize}`,
      );
  }
}

export const mergeSize = (size: TaskSize, changes: Exclude<TaskSize, string>): TaskSize =>
  typeof size === 'string' ? { level: size, ...changes } : { ...size, ...changes };

function checkBudget(b: Budget, fail: (field: string, expected: string, found: unknown) => void): void {
  if (!Number.isInteger(b.steps) || b.steps < 1) fail('steps', 'a whole number of at least 1', b.steps);
  if (!Number.isInteger(b.sequences) || b.sequences < 1)
    fail('sequences', 'a whole number of at least 1', b.sequences);
  if (!(b.learningRate > 0 && b.learningRate < 1))
    fail('learningRate', 'a number between 0 and 1', b.learningRate);
  if (!Number.isInteger(b.warmupSteps) || b.warmupSteps < 0 || b.warmupSteps > b.steps)
    fail('warmupSteps', `a whole number from 0 to the ${b.steps} steps`, b.warmupSteps);
}

/**
 * Loads a study from its file (.ts, .mjs, .js or .json), from a folder that holds study.ts, or by its name
 * under studies/.
 */
export async function loadStudy(where: string, options: { short?: boolean } = {}): Promise<Study> {
  const file = await studyFile(where);
  const definition = (await readSettings(file, 'a study')) as StudyDefinition | null | undefined;
  if (typeof definition !== 'object' || definition === null || !Array.isArray(definition.models))
    throw new UsageError(
      `${file}: expected a study with its models and tasks, found none. ` +
        'Write `export default { name, title, sizes, models, tasks, seeds }`, or the same as JSON.',
    );
  const { short, ...rest } = defineStudy(definition);
  if (options.short && !short)
    throw new UsageError(`${file}: expected a study with a short version, found none`);
  return { ...rest, ...(options.short ? short : {}), folder: dirname(file), isShort: options.short ?? false };
}

async function studyFile(where: string): Promise<string> {
  const candidates = [
    where,
    ...['study.ts', 'study.mjs', 'study.js', 'study.json'].map((name) => join(where, name)),
    join('studies', where, 'study.ts'),
  ];
  for (const candidate of candidates) {
    const info = await stat(candidate).catch(() => null);
    if (info?.isFile()) return resolve(candidate);
  }
  throw new UsageError(
    `study: expected a study file, a folder with study.ts, or a name under studies/, found nothing at ${where}`,
  );
}
