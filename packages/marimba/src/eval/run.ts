// What `marimba eval` does: loads one model or two, asks them the same tasks, compares them.
import { join } from 'node:path';
import { type LoadModelOptions, type Model, type QuantizeType, UsageError } from '@marimba/engine';
import type { DivergenceReport, Evaluation, Suite, SuiteComparison, SuiteOptions } from '@marimba/lab';
import type { Interrupt } from '../interrupt.ts';
import { loadForCommand } from '../open.ts';
import { loadOptions, type ModelFlags } from '../options.ts';
import { StatusLine } from '../status-line.ts';
import { plural } from '../terminal.ts';

export interface EvalFlags extends ModelFlags {
  readonly tasks?: string[];
  readonly against?: string;
  readonly text?: string;
  readonly out?: string;
  readonly items?: number;
  readonly lengths?: number[];
  readonly seed: number;
  readonly window?: number;
  readonly maxTokens?: number;
  readonly shots?: number;
  readonly batch: number;
  readonly chat?: boolean;
}

export interface EvalReport {
  readonly first: Evaluation;
  readonly second: Evaluation | null;
  readonly comparison: readonly SuiteComparison[];
  readonly divergence: DivergenceReport | null;
}

/** Throws UsageError where nothing is asked, or two second models are. */
export async function evaluateModels(
  source: string,
  flags: EvalFlags,
  interrupt: Interrupt,
): Promise<EvalReport> {
  if (flags.against !== undefined && flags.quantize !== undefined)
    throw new UsageError('eval: expected --against or --quantize, not both');
  if (!flags.tasks?.length && flags.against === undefined && flags.quantize === undefined)
    throw new UsageError(
      'eval: expected --tasks, or a second model with --against or --quantize. See marimba eval --help.',
    );
  const { quantize, ...plain } = flags;
  const models: Model[] = [];
  try {
    models.push(await loadForCommand(source, loadOptions(plain), interrupt));
    const second = secondModel(source, flags);
    if (second)
      models.push(
        await loadForCommand(second.source, { ...loadOptions(plain), ...second.options }, interrupt),
      );
    return await ask(models, flags, quantize ?? '', interrupt);
  } finally {
    for (const model of models) await model.close();
  }
}

function secondModel(source: string, flags: EvalFlags): { source: string; options: LoadModelOptions } | null {
  if (flags.against !== undefined) return { source: flags.against, options: {} };
  return flags.quantize === undefined
    ? null
    : { source, options: { quantize: flags.quantize satisfies QuantizeType } };
}

async function ask(
  models: readonly Model[],
  flags: EvalFlags,
  quantize: string,
  interrupt: Interrupt,
): Promise<EvalReport> {
  const lab = await import('@marimba/lab');
  const status = new StatusLine();
  const { signal } = interrupt;
  const options: SuiteOptions = suiteOptions(flags);
  const evaluations: Evaluation[] = [];
  try {
    for (const [i, model] of models.entries()) {
      const suites: Suite[] = [];
      for (const name of flags.tasks ?? []) suites.push(await lab.buildSuite(name, model, options));
      const out =
        flags.out === undefined
          ? null
          : models.length > 1
            ? join(flags.out, i === 0 ? 'first' : 'second')
            : flags.out;
      const evaluated = await lab.evaluate(model, suites, {
        out,
        batch: flags.batch,
        chat: flags.chat ?? false,
        variant: i === 1 ? quantize : '',
        signal,
        onProgress: (done, total, suite) =>
          status.show(`${models.length > 1 ? `${i + 1}: ` : ''}${suite} ${done} of ${total}`),
      });
      evaluations.push(evaluated);
    }
    const [first, second = null] = evaluations as [Evaluation, Evaluation?];
    if (!second) return { first, second, comparison: [], divergence: null };
    return {
      first,
      second,
      comparison: lab.compareEvaluations(first, second),
      divergence: await diverge(models, flags, status, signal),
    };
  } finally {
    status.clear();
  }
}

const suiteOptions = ({ items, lengths, seed, window, maxTokens, shots }: EvalFlags): SuiteOptions => ({
  seed,
  items,
  lengths,
  window,
  maxTokens,
  shots,
});

/** Token by token, where the two share a vocabulary. */
async function diverge(
  models: readonly Model[],
  flags: EvalFlags,
  status: StatusLine,
  signal: AbortSignal,
): Promise<DivergenceReport | null> {
  const lab = await import('@marimba/lab');
  const [original, other] = models as [Model, Model];
  if (original.vocabularySize !== other.vocabularySize) return null;
  const sequences: number[][] = [];
  if (flags.text !== undefined) {
    const suite = await lab.buildSuite(`perplexity:${flags.text}`, original, {
      window: flags.window ?? 256,
      maxTokens: flags.maxTokens ?? 2048,
    });
    for (const item of suite.items) if (item.kind === 'text') sequences.push([...item.tokens]);
  }
  return lab.compareDistributions(original, other, {
    ...(sequences.length ? { sequences } : {}),
    seed: flags.seed + 1,
    signal,
    onProgress: (done, total) => status.show(`Comparing distributions: ${done} of ${plural(total, 'text')}`),
  });
}
