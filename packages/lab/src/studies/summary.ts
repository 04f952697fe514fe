// A study's results model by model and task by task: means over seeds with their spread. The table in the
// terminal, results.csv and the report all show these rows.
import { layerStrip } from '@marimba/engine';
import { average, type Mean, meanInterval } from '../statistics.ts';
import { studyCells } from './cells.ts';
import { bytesToDecode, type ModelCost, modelCost } from './costs.ts';
import { countParameters, modelConfig, specOf } from './model.ts';
import type { CellResult } from './results.ts';
import { type Study, taskName } from './study.ts';

/** One model on one task: means over seeds. */
export interface SummaryRow {
  /** Name of the model. */
  readonly model: string;
  /** Name of the task. */
  readonly task: string;
  /** One letter per layer, `e` after those with experts. */
  readonly layers: string;
  /** What the task is judged by: accuracy, or loss in nats per token on text. */
  readonly metric: string;
  /** True for losses. */
  readonly smallerIsBetter: boolean;
  /** The metric over seeds, with its 95 % interval. */
  readonly quality: Mean;
  /** The metric, one value per seed. */
  readonly values: readonly number[];
  /** Accuracy by guessing, from 0 to 1; null where there is no such thing. */
  readonly chance: number | null;
  /** Training loss of each tenth of the run, mean over seeds, in nats per token. */
  readonly curve: readonly number[];
  /** All metrics over seeds, with their spread. */
  readonly metrics: Readonly<Record<string, Mean>>;
  /** Number of parameters, all experts included. */
  readonly parameters: number;
  /** Parameters that one token goes through: of experts, the chosen ones. */
  readonly activeParameters: number;
  /** Floating-point operations of one training, forward and backward. */
  readonly trainingFlops: number;
  /** Wall-clock time of one training, mean over seeds. */
  readonly trainingMs: number;
  /** What decoding with the model costs. */
  readonly cost: ModelCost;
  /** Where the model stands on the study's axes. */
  readonly axes: Readonly<Record<string, string>>;
}

export function summarise(study: Study, results: ReadonlyMap<string, CellResult>): SummaryRow[] {
  const placed = studyCells(study);
  return study.tasks.flatMap((task) =>
    study.models.flatMap((model): SummaryRow[] => {
      const here = placed.filter((p) => p.task === taskName(task) && p.model === model.name);
      const found = here.flatMap((p) => results.get(p.cell.id) ?? []);
      const [first] = found;
      if (!first) return [];
      const names = [...new Set(found.flatMap((r) => Object.keys(r.metrics)))];
      const metrics = Object.fromEntries(
        names.map((name) => [name, meanInterval(found.flatMap((r) => r.metrics[name] ?? []))]),
      );
      const metric = 'text' in task ? 'loss' : 'accuracy';
      return [
        {
          model: model.name,
          task: taskName(task),
          layers: first.layers,
          metric,
          smallerIsBetter: metric === 'loss',
          quality: metrics[metric] ?? meanInterval([Number.NaN]),
          values: found.flatMap((r) => r.metrics[metric] ?? []),
          chance: first.chance,
          curve: first.curve.map((_, i) => average(found.map((r) => r.curve[i] ?? Number.NaN))),
          metrics,
          parameters: first.parameters,
          activeParameters: first.activeParameters,
          trainingFlops: first.trainingFlops,
          trainingMs: found.reduce((sum, r) => sum + r.trainingMs, 0) / found.length,
          cost: first.cost,
          axes: model.axes ?? {},
        },
      ];
    }),
  );
}

export interface ModelSummary {
  readonly name: string;
  readonly layers: string;
  readonly parameters: number;
  readonly cost: ModelCost;
}

/** Every model's costs, whether or not a cell of it is finished, at one vocabulary so that models compare. */
export function summariseModels(study: Study, contexts: readonly number[]): ModelSummary[] {
  return study.models.map((model) => {
    const spec = specOf(model.name, modelConfig(model, study.sizes, 256, Math.max(...contexts)));
    return {
      name: model.name,
      layers: layerStrip(spec),
      parameters: countParameters(spec).total,
      cost: modelCost(spec, contexts),
    };
  });
}

export const spread = ({ mean, deviation, count }: Mean, digits = 3): string =>
  Number.isFinite(mean)
    ? count > 1
      ? `${mean.toFixed(digits)} ± ${deviation.toFixed(digits)}`
      : mean.toFixed(digits)
    : 'diverged';

/** Comma-separated, one row a model and task. */
export function toCsv(rows: readonly SummaryRow[]): string {
  const names = [...new Set(rows.flatMap((r) => Object.keys(r.metrics)))];
  const contexts = rows[0]?.cost.contexts.map((c) => c.context) ?? [];
  const head = [
    'model',
    'layers',
    'task',
    'seeds',
    'chance',
    ...names.flatMap((n) => [n, `${n} deviation`]),
    'parameters',
    'active parameters',
    'training flops',
    'training ms',
    'state bytes',
    ...contexts.flatMap((c) => [`decode bytes at ${c}`, `decode operations at ${c}`, `cache bytes at ${c}`]),
  ];
  const lines = rows.map((r) => [
    r.model,
    r.layers,
    r.task,
    r.quality.count,
    r.chance ?? '',
    ...names.flatMap((n) => [r.metrics[n]?.mean ?? '', r.metrics[n]?.deviation ?? '']),
    r.parameters,
    r.activeParameters,
    r.trainingFlops,
    Math.round(r.trainingMs),
    r.cost.stateBytes,
    ...r.cost.contexts.flatMap((c) => [
      Math.round(bytesToDecode(r.cost, c)),
      Math.round(2 * c.decodeMacs),
      Math.round(c.cacheBytes),
    ]),
  ]);
  return `${[head, ...lines].map((cells) => cells.map(quoteCell).join(',')).join('\n')}\n`;
}

const quoteCell = (cell: string | number): string =>
  /[",\n]/.test(`${cell}`) ? `"${`${cell}`.replaceAll('"', '""')}"` : `${cell}`;
