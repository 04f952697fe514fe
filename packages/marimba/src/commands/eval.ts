// marimba eval MODEL: asks a model tasks, alone or beside another one.
import { join } from 'node:path';
import { type LoadModelOptions, type Model, type QuantizeType, UsageError } from '@marimba/engine';
import type {
  DivergenceReport,
  Evaluation,
  Share,
  Suite,
  SuiteComparison,
  SuiteOptions,
  SuiteSummary,
} from '@marimba/lab';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { OPTIONAL_MODEL } from '../bundled.ts';
import { type Interrupt, watchInterrupt } from '../interrupt.ts';
import { loadForCommand } from '../open.ts';
import {
  addHubOptions,
  cacheTypeOption,
  collect,
  contextSize,
  loadOptions,
  type ModelFlags,
  quantizeOption,
  threadsOption,
  wholeNumber,
} from '../options.ts';
import { StatusLine } from '../status-line.ts';
import { bold, dim, printJson, table } from '../terminal.ts';
import { examples } from './examples.ts';

interface EvalFlags extends ModelFlags {
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
  readonly json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('eval')
    .summary('measure a model on tasks, alone or against another')
    .description(
      'Ask a model tasks; with --against or --quantize also another one, on the same items and the same text.',
    )
    .argument(...OPTIONAL_MODEL)
    .option('--tasks <LIST>', 'names with commas between them, or repeated: see below', taskList)
    .option('--against <MODEL>', 'a second model, compared item by item')
    .addOption(quantizeOption())
    .option(
      '--text <FILE>',
      'text on which two models are compared token by token (default: written by the first)',
    )
    .option('--out <FOLDER>', 'keep transcripts here, and go on from those that are there')
    .option('--items <N>', 'items of each task (of each length, for the long texts)', wholeNumber(1))
    .option('--lengths <LIST>', 'lengths for text-needle and text-variables, such as 1K,4K,16K', lengthList)
    .option('--seed <N>', 'of generated items', wholeNumber(0, 2 ** 20), 0)
    .option('--window <N>', 'tokens of a perplexity window', wholeNumber(2))
    .option('--max-tokens <N>', 'read at most so much of a text', wholeNumber(2))
    .option('--shots <N>', 'worked examples before each question', wholeNumber(0, 100))
    .option('--batch <N>', 'items at a time', wholeNumber(1, 64), 8)
    .option('--chat', "put free questions into the model's chat template")
    .option('--json', 'print the summary as JSON');
  command
    .optionsGroup('Running:')
    .addOption(threadsOption())
    .addOption(
      new Option('--backend <NAME>', 'wasm is fast, reference is plain and exact').choices([
        'wasm',
        'reference',
      ]),
    )
    .addOption(cacheTypeOption())
    .addOption(
      new Option('--activations <MODE>', 'how activations meet quantised weights').choices([
        'auto',
        'f32',
        'int8',
      ]),
    )
    .addOption(new Option('--context <N>', 'longest context').argParser(contextSize));
  addHubOptions(command)
    .addHelpText(
      'after',
      examples(
        [
          [
            'marimba eval ./model --tasks text-needle,text-variables --lengths 1K,4K,16K',
            'how much context is really used',
          ],
          [
            'marimba eval model.gguf --tasks perplexity:book.txt,questions:arc.jsonl --out runs/arc',
            'resumable, with transcripts',
          ],
          ['marimba eval ./model --quantize q4_K --tasks perplexity:book.txt', 'what quantising costs'],
          ['marimba eval ./jamba --against ./llama --tasks questions:arc.jsonl', 'two models, paired'],
        ],
        'Tasks: recall, in-context-recall, noisy-recall, selective-copying, memorisation, compression, induction, needle, few-shot-labels,',
        'variable-tracking (each with :tiny, :small, :medium or :large; for models trained on them), text-needle, text-variables,',
        'perplexity:FILE, questions:FILE (JSONL with question, choices, answer).',
      ),
    )
    .action(run);
}

function taskList(text: string, before: readonly string[] = []): string[] {
  return text
    .split(',')
    .filter(Boolean)
    .reduce<string[]>((list, name) => collect(name, list), [...before]);
}

function lengthList(text: string): number[] {
  const list = text.split(',').map(contextSize);
  if (!list.length) throw new InvalidArgumentError('Expected lengths such as 1K,4K.');
  return list;
}

interface Report {
  readonly first: Evaluation;
  readonly second: Evaluation | null;
  readonly comparison: readonly SuiteComparison[];
  readonly divergence: DivergenceReport | null;
}

async function run(source: string, flags: EvalFlags): Promise<void> {
  if (flags.against !== undefined && flags.quantize !== undefined)
    throw new UsageError('eval: expected --against or --quantize, not both');
  if (!flags.tasks?.length && flags.against === undefined && flags.quantize === undefined)
    throw new UsageError(
      'eval: expected --tasks, or a second model with --against or --quantize. See marimba eval --help.',
    );
  const interrupt = watchInterrupt();
  const { quantize, ...plain } = flags;
  const models: Model[] = [];
  try {
    models.push(await loadForCommand(source, loadOptions(plain), interrupt));
    const second = secondModel(source, flags);
    if (second)
      models.push(
        await loadForCommand(second.source, { ...loadOptions(plain), ...second.options }, interrupt),
      );
    const report = await ask(models, flags, quantize ?? '', interrupt);
    if (flags.json) printJson(summaryOf(report));
    else print(report);
  } catch (error) {
    interrupt.check();
    throw error;
  } finally {
    interrupt.release();
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
): Promise<Report> {
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
  ...(items === undefined ? {} : { items }),
  ...(lengths ? { lengths } : {}),
  ...(window === undefined ? {} : { window }),
  ...(maxTokens === undefined ? {} : { maxTokens }),
  ...(shots === undefined ? {} : { shots }),
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
    onProgress: (done, total) => status.show(`Comparing distributions: ${done} of ${total} texts`),
  });
}

const summaryOf = ({ first, second, comparison, divergence }: Report) => ({
  model: first.model,
  suites: first.suites.map((s) => s.summary),
  ...(second
    ? { against: second.model, againstSuites: second.suites.map((s) => s.summary), comparison, divergence }
    : {}),
});

const percent = (value: number): string => `${(100 * value).toFixed(1)}%`;
const shareText = ({ value, low, high }: Share): string =>
  `${percent(value)} [${percent(low)}, ${percent(high)}]`;

function print({ first, second, comparison, divergence }: Report): void {
  for (const evaluation of second ? [first, second] : [first]) {
    process.stdout.write(`${bold(evaluation.model)}\n`);
    for (const { summary } of evaluation.suites) printSuite(summary);
  }
  if (comparison.length) {
    process.stdout.write(`\n${bold('Second minus first, on the same items')}\n`);
    const rows = comparison.map(({ name, items, difference: d, mcNemar }) => [
      name,
      `${items} items`,
      `${d.mean >= 0 ? '+' : ''}${d.mean.toFixed(4)} [${d.low.toFixed(4)}, ${d.high.toFixed(4)}]`,
      mcNemar
        ? `only first ${mcNemar.onlyFirst}, only second ${mcNemar.onlySecond}, p ${mcNemar.p.toPrecision(2)}`
        : '',
    ]);
    process.stdout.write(`${table(rows)}\n`);
  }
  if (divergence) printDivergence(divergence);
}

function printSuite(s: SuiteSummary): void {
  const lines: string[][] = [];
  if (s.accuracy)
    lines.push([
      'accuracy',
      shareText(s.accuracy),
      s.chance === null ? '' : dim(`chance ${percent(s.chance)}`),
    ]);
  if (s.accuracyUnnormalised) lines.push(['without length normalisation', shareText(s.accuracyUnnormalised)]);
  if (s.whole && s.accuracy && s.whole.value !== s.accuracy.value)
    lines.push(['items all right', shareText(s.whole)]);
  const groups = Object.entries(s.groups);
  if (groups.length > 1) for (const [name, share] of groups) lines.push([`  ${name}`, shareText(share)]);
  if (s.effectiveLength !== null)
    lines.push([
      'effective length',
      s.effectiveLength ? `${s.effectiveLength} tokens` : 'none of those tested',
    ]);
  if (s.text) {
    const { loss, lossInterval, perplexity, bitsPerByte, tokens } = s.text;
    const interval = Number.isFinite(lossInterval.low)
      ? ` [${lossInterval.low.toFixed(4)}, ${lossInterval.high.toFixed(4)}]`
      : '';
    lines.push(
      ['loss', `${loss.toFixed(4)} nats a token${interval}`],
      ['perplexity', perplexity.toFixed(3)],
      ['bits a byte', bitsPerByte.toFixed(4)],
      ['tokens', `${tokens}`],
    );
  }
  process.stdout.write(`\n${s.title} ${dim(`${s.name}, ${s.items} items`)}\n${table(lines)}\n`);
}

function printDivergence(d: DivergenceReport): void {
  const interval = Number.isFinite(d.divergenceInterval.high)
    ? ` [${d.divergenceInterval.low.toFixed(5)}, ${d.divergenceInterval.high.toFixed(5)}]`
    : '';
  process.stdout.write(
    `\n${bold('Next-token distributions, second against first')}\n${table([
      ['mean KL divergence', `${d.meanDivergence.toFixed(5)} nats${interval}`],
      ['99th percentile, largest', `${d.percentile99.toFixed(4)}, ${d.largestDivergence.toFixed(4)}`],
      [
        'same likeliest token',
        `${percent(d.topAgreement.value)} [${percent(d.topAgreement.low)}, ${percent(d.topAgreement.high)}]`,
      ],
      ['loss, first and second', `${d.losses[0].toFixed(4)}, ${d.losses[1].toFixed(4)} nats a token`],
      ['positions', `${d.positions}`],
    ])}\n`,
  );
}
