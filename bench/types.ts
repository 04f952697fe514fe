// `npm run bench:types`: every weight type on one table. For each, a Llama 1B with half of its layers is made, all of
// its matrices of that type; then this engine and llama-bench decode and read a prompt in turns, each in a process of
// its own. The file is removed before the next one is made: 0.15 to 1.1 GB.
import { rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { TensorType } from '@marimba/engine';
import { spreadOf } from '@marimba/engine/measure';
import { buildKernels } from '../scripts/build-kernels.ts';
import { runChild } from './children.ts';
import { describeMachine } from './machine.ts';
import { SYNTHETIC_TYPES, syntheticModel } from './make-synthetic.ts';
import { LLAMA_1B_HALF } from './synthetic-shapes.ts';
import type { Figures } from './tasks.ts';

const HELP = `Usage: npm run bench:types -- --llama-bench FILE [options]

  --llama-bench FILE  the program of llama.cpp to compare with; without it, only this engine is measured
  --types NAMES       with commas between them (default: ${SYNTHETIC_TYPES.join(',')})
  --repeat N          repetitions on each side, whose medians count (default 1)
  --threads N         worker threads of each side (default 2)
  --prompt N          tokens read (default 128)
  --decode N          tokens decoded (default 24)
  --keep              keep the files

About 15 seconds for each repetition of a type on two cores, a minute for those without int8 kernels.
`;

interface Options {
  readonly types: readonly TensorType[];
  readonly llamaBench: string | null;
  readonly keep: boolean;
  readonly repeat: number;
  readonly task: { readonly threads: number; readonly prompt: number; readonly decode: number };
}

/** Null where help is wanted. */
function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      types: { type: 'string' },
      'llama-bench': { type: 'string' },
      repeat: { type: 'string', default: '1' },
      threads: { type: 'string', default: '2' },
      prompt: { type: 'string', default: '128' },
      decode: { type: 'string', default: '24' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const number = (name: 'repeat' | 'threads' | 'prompt' | 'decode'): number => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value > 0) return value;
    throw new Error(`--${name}: expected a whole number of at least 1, found ${values[name]}`);
  };
  const types = (values.types?.split(',') ?? SYNTHETIC_TYPES) as readonly TensorType[];
  const unknown = types.find((type) => !SYNTHETIC_TYPES.includes(type));
  if (unknown) throw new Error(`--types: expected some of ${SYNTHETIC_TYPES.join(', ')}, found ${unknown}`);
  return {
    types,
    llamaBench: values['llama-bench'] ? resolve(values['llama-bench']) : null,
    keep: values.keep,
    repeat: number('repeat'),
    task: { threads: number('threads'), prompt: number('prompt'), decode: number('decode') },
  };
}

/** What was measured of one type, repetition by repetition. */
interface Measured {
  readonly type: TensorType;
  readonly ours: readonly Figures[];
  /** Empty where there is no peer, or it cannot run the type. */
  readonly peer: readonly Figures[];
  readonly fileBytes: number;
}

async function measure(type: TensorType, { llamaBench, task, repeat, keep }: Options): Promise<Measured> {
  const model = await syntheticModel(type, LLAMA_1B_HALF);
  const [ours, peer]: [Figures[], Figures[]] = [[], []];
  try {
    await readOnce(model);
    for (let i = 0; i < repeat; i++) {
      process.stderr.write(`${type}  ${i + 1} of ${repeat}\n`);
      const work = { kind: 'base', model, ...task, llamaBench };
      ours.push(await runChild<Figures>('measure-ours.ts', work));
      if (llamaBench) {
        const figures = await runChild<Figures>('measure-llama-bench.ts', work).catch((error: unknown) => {
          process.stderr.write(`  llama-bench: ${String(error).split('\n').at(-1)}\n`);
          return null;
        });
        if (figures) peer.push(figures);
      }
    }
    return { type, ours, peer, fileBytes: statSync(model).size };
  } finally {
    if (!keep) rmSync(model, { force: true });
  }
}

/** So that both sides find the file in the system's cache. */
async function readOnce(path: string): Promise<void> {
  const file = await open(path);
  try {
    const buffer = new Uint8Array(8 * 2 ** 20);
    while ((await file.read(buffer)).bytesRead > 0);
  } finally {
    await file.close();
  }
}

const median = (values: readonly number[]): number => spreadOf(values).median;
const figure = (figures: readonly Figures[], id: string): number[] => figures.flatMap((one) => one[id] ?? []);
/** Ours over the peer's, neighbours in time by themselves. */
const ratio = ({ ours, peer }: Measured, id: string): string => {
  const ratios = figure(peer, id).map((value, i) => figure(ours, id)[i]! / value);
  return ratios.length ? `${median(ratios).toFixed(2)} ×` : '-';
};
const speed = (figures: readonly Figures[], id: string): string =>
  figures.length ? median(figure(figures, id)).toFixed(1) : '-';

/** A row of the table in docs/benchmarks.md. */
function row(measured: Measured): string {
  const { type, ours, peer, fileBytes } = measured;
  const shares = ours.map((one) => one['decode.read']! / one['decode.limit']!);
  const others = Math.max(...[...ours, ...peer].map(({ busyElsewhere = 0 }) => busyElsewhere));
  const cells = [
    type,
    `${(fileBytes / 2 ** 20).toFixed(0)} MiB`,
    speed(ours, 'decode'),
    `${(100 * median(shares)).toFixed(0)} %`,
    speed(peer, 'decode'),
    ratio(measured, 'decode'),
    speed(ours, 'prompt'),
    speed(peer, 'prompt'),
    ratio(measured, 'prompt'),
    `${(100 * others).toFixed(0)} %`,
  ];
  return `| ${cells.join(' | ')} |`;
}

const TABLE = `| weights | file | decode, tokens/s | of read limit | llama.cpp | ratio | prompt, tokens/s | llama.cpp | ratio | others |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
`;

async function main(): Promise<void> {
  const options = readOptions();
  if (!options) {
    process.stdout.write(HELP);
    return;
  }
  await buildKernels();
  const { processor, processors, features, node, loadBefore } = describeMachine();
  const { threads, prompt, decode } = options.task;
  process.stdout.write(
    `${processor} (${features.join(' ')}), ${processors} processors, Node ${node}, ${threads} threads, ` +
      `load before ${loadBefore.toFixed(1)}; ${LLAMA_1B_HALF.name}, ${prompt} tokens in, ${decode} out, ` +
      `medians of ${options.repeat} in turns\n\n${TABLE}`,
  );
  for (const type of options.types) process.stdout.write(`${row(await measure(type, options))}\n`);
}

await main();
