// One cell from beginning to end: data, training, test, costs.
import { createHash } from 'node:crypto';
import { layerStrip } from '@marimba/engine';
import {
  splitDocuments,
  type TextSplit,
  type TrainingBatch,
  textBatches,
  textWindows,
} from '../data/batches.ts';
import { readDocuments } from '../data/documents.ts';
import { tokenise } from '../data/token-file.ts';
import { trainTokenizer } from '../data/tokenizer-file.ts';
import { average } from '../statistics.ts';
import { exampleBatch, taskBatches, testExamples } from '../tasks/batches.ts';
import { findTask } from '../tasks/index.ts';
import type { TaskInstance, TaskSize } from '../tasks/task.ts';
import type { Cell, CellTask } from './cells.ts';
import { modelCost, trainingFlops } from './costs.ts';
import { countParameters, specOf } from './model.ts';
import type { CellResult } from './results.ts';
import type { TrainCell, TrainedCell } from './trainer.ts';

export interface RunOptions {
  readonly train: TrainCell;
  /** Where tokenised texts are kept. */
  readonly cacheFolder?: string | undefined;
  /** Where the trained model goes; default: nowhere. */
  readonly modelFolder?: string | undefined;
  readonly onStep?: ((step: number, loss: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What to train on and how to test it. */
interface Assignment {
  readonly batches: (step: number) => TrainingBatch;
  readonly length: number;
  readonly largest: { readonly sequences: number; readonly length: number };
  readonly chance: number | null;
  test(trained: TrainedCell): Promise<Record<string, number>>;
}

const TEST_SEQUENCES = 16;

export async function runCell(cell: Cell, options: RunOptions): Promise<CellResult> {
  const { budget, seed } = cell;
  const spec = specOf(cell.id, cell.config);
  const assignment =
    cell.task.kind === 'text'
      ? await textAssignment(cell.task, cell, options)
      : syntheticAssignment(cell.task, cell);
  const began = performance.now();
  const trained = await options.train({
    spec,
    config: cell.config,
    batches: assignment.batches,
    largest: assignment.largest,
    budget,
    seed,
    onStep: options.onStep,
    signal: options.signal,
  });
  try {
    const trainingMs = performance.now() - began;
    const tested = await assignment.test(trained);
    if (options.modelFolder) await trained.save?.(options.modelFolder);
    const tokens = budget.steps * budget.sequences * assignment.length;
    const parameters = countParameters(spec);
    return {
      id: cell.id,
      seed,
      layers: layerStrip(spec),
      metrics: finiteOnly({ ...tested, ...trainingMetrics(trained) }),
      chance: assignment.chance,
      parameters: parameters.total,
      activeParameters: parameters.active,
      trainingTokens: tokens,
      trainingFlops: trainingFlops(spec, tokens, assignment.length),
      trainingMs: Math.round(trainingMs),
      cost: modelCost(spec, cell.contexts),
      curve: curveOf(trained.losses),
      finishedAt: new Date().toISOString(),
    };
  } finally {
    await trained.close();
  }
}

function syntheticAssignment(
  task: Extract<CellTask, { kind: 'synthetic' }>,
  { budget, seed }: Cell,
): Assignment {
  const at = (size: TaskSize) => findTask(task.task).at(size);
  const trainedOn = at(task.size);
  const others = task.alsoTest.map((size) => ({ label: sizeLabel(task.size, size), instance: at(size) }));
  const longest = Math.max(trainedOn.maxLength, ...others.map((o) => o.instance.maxLength)) - 1;
  return {
    batches: taskBatches(trainedOn, { sequences: budget.sequences, seed }),
    length: trainedOn.maxLength - 1,
    largest: { sequences: TEST_SEQUENCES, length: longest },
    chance: trainedOn.chance,
    async test(trained) {
      const metrics = await testTask(trained, trainedOn, task.testExamples, seed);
      for (const { label, instance } of others) {
        const further = await testTask(trained, instance, task.testExamples, seed);
        for (const [metric, value] of Object.entries(further)) metrics[`${metric} at ${label}`] = value;
      }
      return metrics;
    },
  };
}

/** What is different in a further test: "length=256". */
function sizeLabel(trained: TaskSize, tested: TaskSize): string {
  const base: Record<string, unknown> = typeof trained === 'string' ? { level: trained } : trained;
  const changes = Object.entries(typeof tested === 'string' ? { level: tested } : tested).filter(
    ([k, v]) => base[k] !== v,
  );
  return changes.map(([k, v]) => `${k}=${v}`).join(' ') || 'the same size';
}

async function testTask(
  trained: TrainedCell,
  task: TaskInstance,
  count: number,
  seed: number,
): Promise<Record<string, number>> {
  let right = 0;
  let wellFormed = 0;
  let scored = 0;
  let loss = 0;
  const examples = testExamples(task, count, seed);
  for (let from = 0; from < count; from += TEST_SEQUENCES) {
    const some = examples.slice(from, from + TEST_SEQUENCES);
    const batch = exampleBatch(some, task.maxLength - 1);
    const { predictions, loss: sum } = await trained.evaluate(batch);
    loss += sum;
    some.forEach(({ tokens, answers }, row) => {
      for (const answer of answers) {
        const said = predictions[row * batch.length + answer - 1]!;
        scored++;
        if (said === tokens[answer]) right++;
        if (task.wellFormed?.(tokens.slice(0, answer), said)) wellFormed++;
      }
    });
  }
  return {
    accuracy: right / scored,
    loss: loss / scored,
    ...(task.wellFormed ? { format: wellFormed / scored } : {}),
  };
}

async function textAssignment(
  task: Extract<CellTask, { kind: 'text' }>,
  { budget, seed }: Cell,
  options: RunOptions,
): Promise<Assignment> {
  const { training, heldOut } = await readText(task, options.cacheFolder);
  const windows = textWindows(heldOut, {
    sequences: TEST_SEQUENCES,
    length: task.length,
    maxTokens: task.testTokens,
  });
  const bytesPerToken = heldOut.byteLength / heldOut.tokens.length;
  return {
    batches: textBatches(training, { sequences: budget.sequences, length: task.length, seed }),
    length: task.length,
    largest: { sequences: TEST_SEQUENCES, length: task.length },
    chance: null,
    async test(trained) {
      let loss = 0;
      let scored = 0;
      let right = 0;
      for (const batch of windows) {
        const { loss: sum, predictions } = await trained.evaluate(batch);
        loss += sum;
        batch.targets.forEach((target, i) => {
          if (target < 0) return;
          scored++;
          if (predictions[i] === target) right++;
        });
      }
      const perToken = loss / scored;
      return { loss: perToken, accuracy: right / scored, bitsPerByte: perToken / Math.LN2 / bytesPerToken };
    },
  };
}

/**
 * Tokens of a text. The vocabulary is learned from all of it, once for all models and seeds, so that losses
 * compare.
 */
async function readText(task: Extract<CellTask, { kind: 'text' }>, cacheFolder?: string): Promise<TextSplit> {
  const texts: string[] = [];
  for await (const { text } of readDocuments(task.text)) texts.push(text);
  const { tokenizer, json } = trainTokenizer(texts, { vocabularySize: task.vocabulary });
  const tokenizerHash = createHash('sha256').update(JSON.stringify(json)).digest('hex');
  const data = await tokenise(task.text, {
    tokenizer,
    tokenizerHash,
    cacheFolder,
  });
  return splitDocuments(data);
}

/** JSON has no NaN: what is not a number is left out, and `diverged` says that this happened. */
function finiteOnly(metrics: Record<string, number>): Record<string, number> {
  const finite = Object.entries(metrics).filter(([, value]) => Number.isFinite(value));
  return { ...Object.fromEntries(finite), diverged: finite.length < Object.keys(metrics).length ? 1 : 0 };
}

/** How training went: where the loss ended, and how often it jumped. */
function trainingMetrics({ losses, gradientNorms }: TrainedCell): Record<string, number> {
  return {
    finalLoss: average(losses.slice(-Math.max(1, Math.ceil(losses.length / 10)))),
    spikes: countSpikes(losses),
    worstGradientNorm: gradientNorms.length ? Math.max(...gradientNorms) : 0,
    worstLogGradientNorm: gradientNorms.length ? Math.log(Math.max(1e-12, ...gradientNorms)) : 0,
    meanLogGradientNorm: gradientNorms.length
      ? average(gradientNorms.map((n) => Math.log(Math.max(n, 1e-12))))
      : 0,
  };
}

const SPIKE_WINDOW = 20;
/** Deviations above the running mean that make a step a spike. */
const SPIKE_DEVIATIONS = 5;

/** Steps whose loss stands far above the 20 before it (or is no number at all). */
export function countSpikes(losses: readonly number[]): number {
  let spikes = 0;
  for (let i = SPIKE_WINDOW; i < losses.length; i++) {
    const before = losses.slice(i - SPIKE_WINDOW, i);
    const mean = average(before);
    const deviation = Math.sqrt(average(before.map((l) => (l - mean) ** 2)));
    if (!Number.isFinite(losses[i]!) || losses[i]! > mean + SPIKE_DEVIATIONS * deviation + 1e-3) spikes++;
  }
  return spikes;
}

function curveOf(losses: readonly number[], points = 10): number[] {
  const step = Math.max(1, Math.ceil(losses.length / points));
  return Array.from({ length: Math.ceil(losses.length / step) }, (_, i) =>
    average(losses.slice(i * step, (i + 1) * step)),
  );
}
