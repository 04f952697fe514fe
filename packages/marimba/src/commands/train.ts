// marimba train: train a model on text, check training against a golden run, or measure its speed.

import { UsageError } from '@marimba/engine';
import type { RunResult, TrainingEvent } from '@marimba/lab';
import type { TrainingBench, VerifyReport } from '@marimba/lab/tools';
import type { Command } from 'commander';
import { EXIT, Interrupted } from '../exit.ts';
import { watchInterrupt } from '../interrupt.ts';
import { commandLine, invocation } from '../invocation.ts';
import { liveLine } from '../live-line.ts';
import { collect, realNumber, threadsOption, wholeNumber } from '../options.ts';
import { bytes, count, dim, duration, green, printJson, red, table } from '../terminal.ts';
import { writeRunFile } from '../train/init.ts';
import { examples } from './examples.ts';

interface Flags {
  readonly init?: string | true;
  readonly verify?: string;
  readonly bench?: boolean;
  readonly texts?: string[];
  readonly output?: string;
  readonly steps?: number;
  readonly sequences?: number;
  readonly length?: number;
  readonly learningRate?: number;
  readonly seed?: number;
  readonly recompute?: boolean;
  readonly gguf?: boolean;
  readonly threads?: number;
  readonly backend?: 'wasm' | 'reference';
  readonly kernels?: 'relaxed' | 'baseline';
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command('train')
    .summary('train a model on text, from nothing or from another one')
    .description(
      'Train the model that RUN describes (a .json, .mjs or .ts file: the content of a config.json under `model`, files ' +
        'and folders under `texts`, and settings), and write it as a Hugging Face folder. The same command resumes a ' +
        'run that was stopped, with the result of an uncut one to the bit. Begin with --init.',
    )
    .argument('[RUN]', 'settings of the run: .json, .mjs, .js or .ts')
    .option(
      '--init [FILE]',
      'write a RUN to begin with, and stop (default: run.json; .mjs comes with comments)',
    )
    .option('--texts <PATH>', 'text, JSONL or a folder, instead of the RUN’s; may be repeated', collect)
    .option('--output <FOLDER>', 'where the run keeps its checkpoints, log and model')
    .option('--steps <N>', 'optimiser steps', wholeNumber(1))
    .option('--sequences <N>', 'sequences per batch', wholeNumber(1))
    .option('--length <N>', 'tokens per sequence', wholeNumber(1))
    .option('--learning-rate <X>', 'at its peak', realNumber(0))
    .option('--seed <N>', 'of first weights and data order', wholeNumber(0))
    .option('--recompute', 'compute inner values again in the backward pass: less memory, more time')
    .option('--gguf', 'also write the trained model as model.gguf, for llama.cpp')
    .option('--verify <FOLDER>', 'check a gradient and ten steps against FOLDER/golden-train.json')
    .option('--bench', 'measure the speed of a 7M Jamba 1:8 and a transformer of the same size')
    .addOption(threadsOption())
    .option('--backend <NAME>', 'wasm is fast, reference plain and exact (default: wasm)')
    .option('--kernels <BUILD>', 'relaxed or baseline (default: relaxed where it runs)')
    .option('--json', 'print results as an object, and a run’s events as lines of JSON')
    .addHelpText(
      'after',
      examples(
        [
          ['marimba train --init --texts book.txt', 'write run.json for your own text'],
          ['marimba train run.json', 'start the run, or resume it'],
          ['marimba train run.json --steps 2000 --output ./longer', 'another length, in another folder'],
        ],
        'All settings and their defaults: docs/training.md.',
      ),
    )
    .action(run);
}

async function run(path: string | undefined, flags: Flags): Promise<void> {
  if (flags.init !== undefined) return init(path, flags);
  if ([path !== undefined, flags.verify !== undefined, flags.bench === true].filter(Boolean).length !== 1)
    throw new UsageError('train: expected one of RUN, --init, --verify FOLDER, --bench');
  if (flags.verify !== undefined) return verify(flags.verify, flags);
  if (flags.bench) return bench(flags);
  return start(path ?? '', flags);
}

function init(path: string | undefined, { init: file, texts }: Flags): void {
  if (path !== undefined)
    throw new UsageError(`train: --init: expected no RUN with it, found ${path}. Write --init ${path}.`);
  const name = typeof file === 'string' ? file : 'run.json';
  writeRunFile(name, texts);
  const next = texts?.length ? '' : ' Put your text in text.txt beside it, or change "texts".';
  process.stdout.write(`Wrote ${name}.${next} Then: ${invocation()} train ${name}\n`);
}

const backendOptions = ({ backend, threads, kernels }: Flags) => {
  if (backend !== undefined && backend !== 'wasm' && backend !== 'reference')
    throw new UsageError(`--backend: expected wasm or reference, found ${backend}`);
  return { backend, threads, variant: kernels };
};

async function verify(folder: string, flags: Flags): Promise<void> {
  const { verifyTraining } = await import('@marimba/lab/tools');
  const report = await verifyTraining(folder, {
    ...backendOptions(flags),
    steps: flags.steps,
    recompute: flags.recompute,
  });
  if (flags.json) printJson(report);
  else process.stdout.write(verifyText(report));
  if (report.comparison?.ok === false) process.exitCode = EXIT.failed;
}

function verifyText({ losses, gradientNorm, comparison }: VerifyReport): string {
  const lines = [
    `losses         ${losses.map((loss) => loss.toFixed(4)).join(' ')}`,
    `gradient norm  ${gradientNorm.toFixed(5)}`,
  ];
  if (!comparison) lines.push(dim('No golden-train.json to compare with.'));
  else {
    const verdict = comparison.ok ? green('within tolerance') : red('outside tolerance');
    const { losses: loss, gradientNorm: norm, gradients, worstTensor } = comparison;
    lines.push(
      `against the golden run: ${verdict}`,
      dim(
        `largest relative differences: losses ${loss.toExponential(1)}, norm ${norm.toExponential(1)}, ` +
          `tensors ${gradients.toExponential(1)} (${worstTensor})`,
      ),
    );
  }
  return `${lines.join('\n')}\n`;
}

async function bench(flags: Flags): Promise<void> {
  const { BENCH_MODELS, benchTraining } = await import('@marimba/lab/tools');
  const results: TrainingBench[] = [];
  for (const [name, config] of Object.entries(BENCH_MODELS)) {
    const { steps, sequences, length } = flags;
    const result = await benchTraining(name, config, { ...backendOptions(flags), steps, sequences, length });
    results.push(result);
    if (!flags.json) process.stdout.write(benchText(result));
  }
  if (flags.json) printJson(results);
}

const percent = (share: number): string => `${(share * 100).toFixed(1)}%`;

function benchText(b: TrainingBench): string {
  const heading =
    `${b.name}: ${count(b.parameters)} parameters, ${b.tokensPerSecond.toFixed(0)} tokens/s, ` +
    `${b.gigaflops.toFixed(1)} GFLOP/s over all`;
  const facts =
    `linear layers ${b.linearGigaflops.toFixed(1)} of ${b.peakGigaflops.toFixed(1)} GFLOP/s ` +
    `(${percent(b.linearShareOfPeak)} of the peak), scan ${percent(b.scanShareOfTime)} of the time, ` +
    `activations ${bytes(b.activationBytes)}`;
  const rows = b.profile
    .filter((p) => p.share >= 0.005)
    .map((p) => [
      p.kind,
      `${p.ms.toFixed(1)} ms`,
      percent(p.share),
      p.gigaflops ? `${p.gigaflops.toFixed(1)} GFLOP/s` : '',
    ]);
  return `${heading}\n${facts}\n${table(rows)}\n\n`;
}

async function start(path: string, flags: Flags): Promise<void> {
  const { readRunConfig, runTraining } = await import('@marimba/lab');
  const { texts, output, steps, sequences, length, learningRate, seed, recompute } = flags;
  const changes = Object.fromEntries(
    Object.entries({ texts, output, steps, sequences, length, learningRate, seed, recompute }).filter(
      ([, value]) => value !== undefined,
    ),
  );
  const config = await readRunConfig(path, changes);
  const interrupt = watchInterrupt();
  const screen = new TrainingScreen(config.steps, flags.json === true);
  try {
    const options = backendOptions(flags);
    const result = await runTraining(config, {
      ...options,
      onEvent: (event) => screen.show(event),
      onNote: (text) => screen.note(text),
      signal: interrupt.signal,
      gguf: flags.gguf === true,
    });
    screen.end(result);
    if (!result.finished) throw new Interrupted('stopped');
  } finally {
    screen.clear();
    interrupt.release();
  }
}

/** One line that is rewritten on a terminal; elsewhere a line every 50 steps; with --json every event. */
class TrainingScreen {
  readonly #steps: number;
  readonly #json: boolean;
  readonly #began = performance.now();
  #first = 0;
  #speed = 0;

  constructor(steps: number, json: boolean) {
    this.#steps = steps;
    this.#json = json;
  }

  show(event: TrainingEvent): void {
    if (this.#json) process.stdout.write(`${JSON.stringify(event)}\n`);
    else if (event.kind === 'start') {
      this.#first = event.step;
      const where = event.step ? `resuming after step ${event.step}` : 'from step 0';
      this.note(
        `${count(event.parameters)} parameters, ${where} (${event.backend}; activations ${bytes(event.activationBytes)})`,
      );
    } else if (event.kind === 'step') this.#step(event);
    else if (event.kind === 'heldOut')
      this.note(
        `step ${event.step}: held-out loss ${event.loss.toFixed(4)}` +
          (event.bitsPerByte === undefined ? '' : `, ${event.bitsPerByte.toFixed(3)} bits per byte`),
      );
  }

  #step(event: Extract<TrainingEvent, { kind: 'step' }>): void {
    this.#speed = this.#speed ? 0.9 * this.#speed + 0.1 * event.tokensPerSecond : event.tokensPerSecond;
    const left =
      ((performance.now() - this.#began) / (event.step - this.#first)) * (this.#steps - event.step);
    const line = [
      `step ${event.step}/${this.#steps}`,
      `loss ${event.loss.toFixed(4)}`,
      `norm ${event.gradientNorm.toFixed(2)}`,
      `${this.#speed.toFixed(0)} tokens/s`,
      dim(`${duration(left)} left`, process.stderr),
    ].join('  ');
    if (process.stderr.isTTY) liveLine.show(line);
    else if (event.step % 50 === 0 || event.step === 1) process.stderr.write(`${line}\n`);
  }

  note(text: string): void {
    this.clear();
    process.stderr.write(`${text}\n`);
  }

  clear(): void {
    liveLine.clear();
  }

  end(result: RunResult): void {
    if (this.#json) process.stdout.write(`${JSON.stringify({ kind: 'end', ...result })}\n`);
    else if (result.model)
      this.note(
        `Done. The model is in ${result.model}; try: ${invocation()} generate ${result.model} --prompt "The "`,
      );
    else this.note(`Stopped after step ${result.step}. Resume with: ${commandLine()}`);
  }
}
