// A study's cells: every model on every task with every seed. A cell's id follows from what is trained and
// how, not from what it is called, so that models that turn out equal are trained once and finished cells are
// known again.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { findTask } from '../tasks/index.ts';
import type { TaskSize } from '../tasks/task.ts';
import type { ModelConfig } from './model.ts';
import { modelConfig } from './model.ts';
import { type Budget, DEFAULT_BUDGET, mergeSize, type Study, type StudyTask, taskName } from './study.ts';

/** Raised when training or testing changes in a way that makes old results worthless. */
const RECIPE_VERSION = 2;

export interface Cell {
  readonly id: string;
  readonly config: ModelConfig;
  readonly budget: Budget;
  readonly seed: number;
  readonly task: CellTask;
  readonly contexts: readonly number[];
}

export type CellTask =
  | {
      readonly kind: 'synthetic';
      readonly task: string;
      readonly size: TaskSize;
      readonly alsoTest: readonly TaskSize[];
      readonly testExamples: number;
    }
  | {
      readonly kind: 'text';
      readonly text: readonly string[];
      readonly vocabulary: number;
      readonly length: number;
      readonly testTokens: number;
    };

/** A cell in the place that the study has for it. */
export interface PlacedCell {
  readonly model: string;
  readonly task: string;
  readonly seed: number;
  readonly cell: Cell;
}

export const DEFAULT_CONTEXTS = [4096, 32_768, 262_144];

export function studyCells(study: Study): PlacedCell[] {
  const cells: PlacedCell[] = [];
  for (const task of study.tasks) {
    const seeds = study.seeds.slice(0, task.seedCount ?? study.seeds.length);
    for (const model of study.models) {
      if (task.models && !task.models.includes(model.name)) continue;
      for (const seed of seeds) {
        const { vocabularySize, length } = extent(task);
        const content = {
          config: modelConfig(model, study.sizes, vocabularySize, length),
          budget: { ...DEFAULT_BUDGET, ...study.budget, ...task.budget },
          seed,
          task: cellTask(study, task),
          contexts: study.contexts ?? DEFAULT_CONTEXTS,
        };
        cells.push({
          model: model.name,
          task: taskName(task),
          seed,
          cell: { id: cellId(content, task), ...content },
        });
      }
    }
  }
  return cells;
}

/**
 * Each cell once, in an order that finishes whole seeds first: a study that is stopped early still compares
 * all models.
 */
export function distinctCells(placed: readonly PlacedCell[]): Cell[] {
  const seeds = [...new Set(placed.map((p) => p.seed))];
  const bySeed = seeds.flatMap((seed) => placed.filter((p) => p.seed === seed));
  return [...new Map(bySeed.map((p) => [p.cell.id, p.cell])).values()];
}

function extent(task: StudyTask): { vocabularySize: number; length: number } {
  if ('text' in task) return { vocabularySize: task.vocabulary, length: task.length };
  const { task: name, size = 'small', alsoTest = [] } = task;
  const sizes = [size, ...alsoTest.map((s) => mergeSize(size, s))].map((s) => findTask(name).at(s));
  return { vocabularySize: sizes[0]!.vocabularySize, length: Math.max(...sizes.map((s) => s.maxLength)) };
}

function cellTask(study: Study, task: StudyTask): CellTask {
  if ('text' in task)
    return {
      kind: 'text',
      text: task.text.map((t) => join(study.folder, t)),
      vocabulary: task.vocabulary,
      length: task.length,
      testTokens: task.testTokens ?? 16_384,
    };
  const size = task.size ?? 'small';
  return {
    kind: 'synthetic',
    task: task.task,
    size,
    alsoTest: (task.alsoTest ?? []).map((s) => mergeSize(size, s)),
    testExamples: task.testExamples ?? 200,
  };
}

function cellId(content: Omit<Cell, 'id'>, task: StudyTask): string {
  // Where the study lies on this machine is not part of what it is.
  const portable = {
    ...content,
    contexts: undefined,
    ...('text' in task ? { task: { ...content.task, text: task.text } } : {}),
  };
  return createHash('sha256')
    .update(`${RECIPE_VERSION} ${canonical(portable)}`)
    .digest('hex')
    .slice(0, 16);
}

/** JSON with sorted keys, so that equal content has equal text. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`).join()}}`;
}
