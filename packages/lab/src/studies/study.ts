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

/** How each cell is trained, with AdamW. Fields that a study leaves out take the defaults. */
export interface Budget {
  /** Optimiser steps. Default 400. */
  readonly steps: number;
  /** Sequences per step. Default 16. */
  readonly sequences: number;
  /** Peak learning rate, after warm-up. Default 0.003. */
  readonly learningRate: number;
  /** Steps over which the rate rises linearly. Default 40. */
  readonly warmupSteps: number;
  /** How the rate falls after warm-up; `wsd` stays constant first. Default cosine. */
  readonly schedule: 'cosine' | 'wsd' | 'constant';
  /** AdamW's decay of matrices; vectors do not decay. Default 0.1. */
  readonly weightDecay: number;
  /** Scales larger gradients down to this L2 norm. Default 1. */
  readonly clipNorm: number;
  /** Decays of the mean gradient and of its square. Default 0.9 and 0.95. */
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

/** What tasks of both kinds may change. */
interface TaskChoices {
  /** Changes to the study's budget. */
  readonly budget?: Partial<Budget>;
  /** Only these models; default: all. */
  readonly models?: readonly string[];
  /** How many seeds to use, from the first on. Default: all. */
  readonly seedCount?: number;
}

/** A task with a known answer, generated from the seed. */
export interface SyntheticStudyTask extends TaskChoices {
  /**
   * One of recall, in-context-recall, noisy-recall, selective-copying, memorisation, compression, induction,
   * needle, few-shot-labels and variable-tracking.
   */
  readonly task: string;
  /** Under which results are listed; default: the task's. Needed when a task is in a study twice. */
  readonly name?: string;
  /** What models are trained at. Default: the level small. */
  readonly size?: TaskSize;
  /**
   * Further sizes that the trained model is tested at (longer contexts, say). Their vocabularies must be the
   * same.
   */
  readonly alsoTest?: readonly Exclude<TaskSize, string>[];
  /** Examples per test. Default 200. */
  readonly testExamples?: number;
}

/** Language modelling on text, of which a tenth is held out. */
export interface TextStudyTask extends TaskChoices {
  /** Marks the task as text. */
  readonly task: 'text';
  /** Under which results are listed. Default: text. Needed when a study has several. */
  readonly name?: string;
  /** Text, JSONL, folders; relative to the study's file. */
  readonly text: readonly string[];
  /** Size of a byte-level BPE that is learned from the texts, the same for all models and seeds. */
  readonly vocabulary: number;
  /** Tokens per sequence. */
  readonly length: number;
  /** Held-out tokens to test on, at most. Default 16,384. */
  readonly testTokens?: number;
}

/** What a study's file exports: models, tasks, a budget and seeds. */
export interface StudyDefinition {
  /** Letters, digits, dots and hyphens: names the results folder. */
  readonly name: string;
  /** Heading of the report. */
  readonly title: string;
  /** A paragraph for the report and the README. */
  readonly about?: string;
  /** Shared by all models that do not say otherwise. */
  readonly sizes: ModelSizes;
  /** At least one, with different names. Models that turn out equal are trained once. */
  readonly models: readonly StudyModel[];
  /** At least one, with different names. */
  readonly tasks: readonly StudyTask[];
  /** For all tasks that do not say otherwise. */
  readonly budget?: Partial<Budget>;
  /** Different whole numbers from 0 to 16,777,215. Claims need at least two. */
  readonly seeds: readonly number[];
  /** Context lengths, in tokens, at which costs are listed. Default 4,096, 32,768 and 262,144. */
  readonly contexts?: readonly number[];
  /** What the report judges. Default: none. */
  readonly claims?: readonly Claim[];
  /** What `--short` changes: for a check that everything works. */
  readonly short?: Partial<Pick<StudyDefinition, 'sizes' | 'models' | 'tasks' | 'budget' | 'seeds'>>;
}

/** A study with where its file lies, so that its texts are found. */
export interface Study extends Omit<StudyDefinition, 'short'> {
  /** Folder of the study's file; paths of texts are relative to it. */
  readonly folder: string;
  /** Whether the changes of `short` are applied. */
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
