// marimba ablate STUDY: trains a study's cells over processes and says what came out.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { StudyProgress, StudySummary } from '@marimba/lab';
import type { Command } from 'commander';
import { EXIT } from '../exit.ts';
import { watchInterrupt } from '../interrupt.ts';
import { commandLine } from '../invocation.ts';
import { collect, wholeNumber } from '../options.ts';
import { StatusLine } from '../status-line.ts';
import {
  bold,
  bytes,
  count,
  dim,
  duration,
  green,
  plural,
  printJson,
  red,
  table,
  yellow,
} from '../terminal.ts';
import { examples } from './examples.ts';

interface AblateFlags {
  readonly out?: string;
  readonly processes: number;
  readonly only?: string[];
  readonly short?: boolean;
  readonly keepModels?: boolean;
  readonly reportOnly?: boolean;
  readonly list?: boolean;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command('ablate')
    .summary('train many small models and compare them')
    .description(
      'Run a study: train each of its models on each of its tasks with each seed, and report quality against cost.',
    )
    .argument('<STUDY>', 'a study file, or a folder with study.ts, .mjs, .js or .json')
    .option('--out <FOLDER>', 'where results and the report go (default: results/NAME)')
    .option('--processes <N>', 'cells that are trained at once', wholeNumber(1, 256), availableParallelism())
    .option('--only <TEXT>', 'only cells whose "model / task / seed" contains this; may be repeated', collect)
    .option('--short', "run the study's short version, to see that everything works")
    .option('--keep-models', 'keep every trained model as a folder that other commands load')
    .option('--list', 'list the cells and whether they are finished, run nothing')
    .option('--report-only', 'write the report from what is finished, run nothing')
    .option('--json', 'print the summary as JSON')
    .addHelpText(
      'after',
      examples(
        [
          ['marimba ablate study.json', 'a study of your own'],
          ['marimba ablate study.json --only recall --processes 4', 'a part of it, over four processes'],
          ['marimba ablate study.json --report-only', 'the report from what is finished'],
        ],
        'The same command resumes a study that was stopped; finished cells are never run twice. A study is a .ts, .mjs, .js ' +
          'or .json file: see docs/training.md.',
      ),
    )
    .action(run);
}

async function run(where: string, flags: AblateFlags): Promise<void> {
  const lab = await import('@marimba/lab');
  const study = await lab.loadStudy(where, { short: flags.short ?? false });
  const out = flags.out ?? join('results', study.isShort ? `${study.name}-short` : study.name);
  if (flags.list) {
    const { studyCells } = await import('@marimba/lab/tools');
    return list(await lab.readResults(out), studyCells(study), flags.json ?? false);
  }
  const interrupt = watchInterrupt();
  const status = new StatusLine();
  let failures: readonly { label: string; message: string }[] = [];
  try {
    if (!flags.reportOnly) {
      const outcome = await lab.runStudy(study, {
        out,
        processes: flags.processes,
        threadsEach: Math.max(1, Math.floor(availableParallelism() / flags.processes)),
        only: flags.only ?? [],
        keepModels: flags.keepModels ?? false,
        signal: interrupt.signal,
        onProgress: (progress) => status.show(progressText(progress)),
        onFinished: (label, result) =>
          status.note(
            `${dim('done', process.stderr)} ${label}  ${metricText(result.metrics)}  ${dim(duration(result.trainingMs), process.stderr)}`,
          ),
      });
      failures = outcome.failures;
    }
  } catch (error) {
    if (interrupt.signal.aborted) status.note(`Stopped. Resume with: ${commandLine()}`);
    throw error;
  } finally {
    status.clear();
    interrupt.release();
    // What is finished is worth seeing, however the run ended.
    const results = await lab.readResults(out).catch(() => new Map());
    if (results.size) await show(await lab.writeStudyFiles(study, results, out), out, flags.json ?? false);
  }
  for (const { label, message } of failures)
    process.stderr.write(`${red('failed', process.stderr)} ${label}: ${message}\n`);
  if (failures.length) process.exitCode = EXIT.failed;
}

function progressText({ finished, total, fraction, leftMs, running }: StudyProgress): string {
  const left = leftMs === null || finished === total ? '' : `, about ${duration(leftMs)} left`;
  const now = running
    .map(
      (r) => `${r.label} ${r.step}/${r.steps}${Number.isFinite(r.loss) ? ` loss ${r.loss.toFixed(3)}` : ''}`,
    )
    .join(' · ');
  return `${finished} of ${total} cells, ${Math.floor(fraction * 100)}%${left}${now ? `  ${now}` : ''}`;
}

const metricText = (metrics: Readonly<Record<string, number>>): string =>
  ['accuracy', 'loss']
    .flatMap((m) => (metrics[m] === undefined ? [] : [`${m} ${metrics[m].toFixed(3)}`]))
    .join('  ');

function list(
  results: ReadonlyMap<string, unknown>,
  placed: readonly { model: string; task: string; seed: number; cell: { id: string } }[],
  json: boolean,
): void {
  const rows = placed.map(({ model, task, seed, cell }) => ({
    id: cell.id,
    model,
    task,
    seed,
    finished: results.has(cell.id),
  }));
  if (json) printJson(rows);
  else
    process.stdout.write(
      `${table(rows.map((r) => [r.model, r.task, `${r.seed}`, r.finished ? green('finished') : dim('waiting')]))}\n`,
    );
}

async function show({ rows, verdicts, reportPath }: StudySummary, out: string, json: boolean): Promise<void> {
  if (json) {
    printJson({ out, report: reportPath, rows, verdicts });
    return;
  }
  const { bytesToDecode } = await import('@marimba/lab');
  const heading = [
    'model',
    'task',
    'quality',
    'seeds',
    'chance',
    'parameters',
    'training',
    'decode',
    'state + cache',
  ].map((t) => dim(t));
  const lines = rows.map((r) => {
    const context = r.cost.contexts.at(-1);
    const quality = `${r.metric} ${r.quality.mean.toFixed(3)}${r.quality.count > 1 ? ` ± ${r.quality.deviation.toFixed(3)}` : ''}`;
    return [
      r.model,
      r.task,
      quality,
      `${r.quality.count}`,
      r.chance === null ? '' : r.chance.toFixed(3),
      count(r.parameters),
      `${count(r.trainingFlops)}FLOP`,
      context ? `${bytes(bytesToDecode(r.cost, context))}/token` : '',
      bytes(r.cost.stateBytes + (context?.cacheBytes ?? 0)),
    ];
  });
  process.stdout.write(`${table([heading, ...lines])}\n`);
  const context = rows[0]?.cost.contexts.at(-1)?.context;
  if (context)
    process.stdout.write(dim(`Decode, state and cache at ${plural(context, 'token')} of context.\n`));
  for (const { claim, verdict, parts } of verdicts) {
    const colour = verdict === 'confirmed' ? green : verdict === 'not confirmed' ? red : yellow;
    process.stdout.write(`\n${bold(`(${claim.id}) ${claim.statement}`)}\n  ${colour(verdict)}\n`);
    for (const part of parts) process.stdout.write(dim(`  ${part.verdict}: ${part.text}; ${part.reason}\n`));
  }
  process.stdout.write(`\nReport: ${reportPath}\n`);
}
