// All tasks with a known answer. Adding one: its file here, its line below.
import { UsageError } from '@marimba/engine';
import { compression } from './compression.ts';
import { fewShotLabels } from './few-shot-labels.ts';
import { inContextRecall, noisyRecall } from './in-context-recall.ts';
import { induction } from './induction.ts';
import { memorisation } from './memorisation.ts';
import { needle } from './needle.ts';
import { recall } from './recall.ts';
import { selectiveCopying } from './selective-copying.ts';
import type { Task } from './task.ts';
import { variableTracking } from './variable-tracking.ts';

export const TASKS: readonly Task[] = [
  recall,
  inContextRecall,
  noisyRecall,
  selectiveCopying,
  memorisation,
  compression,
  induction,
  needle,
  fewShotLabels,
  variableTracking,
];

export function findTask(name: string): Task {
  const task = TASKS.find((t) => t.name === name);
  if (!task)
    throw new UsageError(
      `task: expected one of ${TASKS.map((t) => t.name).join(', ')}, found ${JSON.stringify(name)}`,
    );
  return task;
}
