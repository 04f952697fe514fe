// `npm run bench:peers`: this engine and node-llama-cpp (llama.cpp), alternately, on the same file, threads
// and tokens, each run in a process of its own after a warm-up; beside them a loop that only reads memory,
// the limit of decoding.
//
// Raw figures are appended to a file as they come, so that an interrupted run continues where it stopped.
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Spread, spreadOf } from '@marimba/engine/measure';
import { defaultCacheFolder } from '@marimba/engine/node';
import { buildKernels } from '../scripts/build-kernels.ts';
import { runChild } from './children.ts';
import { describeMachine } from './machine.ts';
import { syntheticModel } from './make-synthetic.ts';
import { installPeers } from './peer-installation.ts';
import { type Measurement, Records, type Side } from './records.ts';
import {
  type DerivedRow,
  derivedRows,
  formatDerived,
  formatReport,
  type ReportRow,
  reportRow,
} from './report.ts';
import { HYBRIDS } from './synthetic-hybrids.ts';
import { MIXES } from './synthetic-parts.ts';
import { type Figures, GROUP_NAMES, GROUPS, OTHER_GROUPS, type TaskGroup } from './tasks.ts';

/** Those that the comparison is about come first in the list. */
const COMPARED_HYBRIDS = 5;

const HELP = `Usage: npm run bench:peers -- [options]

  --model FILE    a GGUF file; may be given more than once (default: a synthetic Jamba 3B in Q4_0 and Q4_K_M, made once)
  --hybrids       instead of that, synthetic ${HYBRIDS.slice(0, COMPARED_HYBRIDS)
    .map(({ name }) => name)
    .join(', ')}
                  in Q4_K_M, made once (about 9 GB); --model may add others
  --rows NAMES    only some rows, with commas between them: ${GROUP_NAMES.join(', ')}
                  (default: all but ${OTHER_GROUPS.map(({ name }) => name).join(' and ')})
  --llama-bench FILE  let this program of llama.cpp be the peer for base and at512
  --repeat N      repetitions of every row on each side (default 3)
  --threads N     worker threads of each side (default 2)
  --output FILE   where the figures go as JSON (default: the cache folder)
  --keep          keep the raw figures when done, so that a run of other rows or more repetitions adds to them
  --report        measure nothing: print what an interrupted run, or runs with --keep, have so far
  --fresh         do not continue an interrupted run

On two cores a Jamba 3B takes about 8 minutes for each repetition: base 1/2, conversation 2, sessions 1 1/4, depth and
depth-q8 1 1/2 each, state 1/2. A measurement during which other programs took more than 5 % of the processors' time is repeated twice at
most, and the least disturbed one counts.
`;

interface Options {
  readonly models: readonly string[];
  readonly groups: readonly TaskGroup[];
  readonly repeat: number;
  readonly threads: number;
  /** A program, or null for node-llama-cpp everywhere. */
  readonly llamaBench: string | null;
  readonly output: string;
  readonly keep: boolean;
  readonly reportOnly: boolean;
  readonly records: Records;
}

/**
 * Share of all processors' time that other programs may take during a measurement, and how often it is tried.
 */
const MOST_BUSY_ELSEWHERE = 0.05;
const ATTEMPTS = 3;
const PAUSE_MS = 5000;

async function readOptions(): Promise<Options | null> {
  const { values } = parseArgs({
    options: {
      model: { type: 'string', multiple: true },
      hybrids: { type: 'boolean', default: false },
      rows: { type: 'string' },
      'llama-bench': { type: 'string' },
      repeat: { type: 'string', default: '3' },
      threads: { type: 'string', default: '2' },
      output: { type: 'string' },
      keep: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      fresh: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const names = values.rows?.split(',') ?? GROUPS.map(({ name }) => name);
  const unknown = names.find((name) => !GROUP_NAMES.includes(name));
  if (unknown) throw new Error(`--rows: expected some of ${GROUP_NAMES.join(', ')}, found ${unknown}`);
  const [repeat, threads] = [positive('--repeat', values.repeat), positive('--threads', values.threads)];
  const models = await modelsOf(values.model, values.hybrids);
  const folder = join(defaultCacheFolder(), 'bench');
  // Measurements of another Node, machine or build of the kernels must not be mixed in: they have their own
  // file.
  const identity = JSON.stringify([describeMachine().processor, process.version, kernelsDigest()]);
  const name = createHash('sha256').update(identity).digest('hex').slice(0, 12);
  const unfinished = join(folder, `peers-${name}.unfinished.jsonl`);
  if (values.fresh) rmSync(unfinished, { force: true });
  return {
    models,
    groups: [...GROUPS, ...OTHER_GROUPS].filter((group) => names.includes(group.name)),
    repeat,
    threads,
    llamaBench: values['llama-bench'] ? resolve(values['llama-bench']) : null,
    keep: values.keep || values.report,
    reportOnly: values.report,
    output: values.output ?? join(folder, `peers-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`),
    records: new Records(unfinished),
  };
}

async function modelsOf(paths: readonly string[] | undefined, hybrids: boolean): Promise<string[]> {
  const named = paths?.map((path) => resolve(path)) ?? [];
  const made: string[] = [];
  if (hybrids)
    for (const blueprint of HYBRIDS.slice(0, COMPARED_HYBRIDS))
      made.push(await syntheticModel('q4_K_M', blueprint));
  else if (!named.length) for (const mix of MIXES) made.push(await syntheticModel(mix));
  return [...named, ...made];
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`${name}: expected a whole number of at least 1, found ${text}`);
  return value;
}

/** Changes whenever a kernel does. */
function kernelsDigest(): string {
  const digests = '../packages/engine/src/backends/wasm/build/digests.json';
  return readFileSync(new URL(digests, import.meta.url), 'utf8');
}

async function runAll(options: Options): Promise<void> {
  for (const model of options.models) {
    await readOnce(model);
    for (const group of options.groups)
      for (let repetition = 0; repetition < options.repeat; repetition++)
        for (const side of ['limit', 'ours', 'peer'] as const)
          await runOne(options, model, group, side, repetition);
  }
}

async function runOne(
  options: Options,
  model: string,
  group: TaskGroup,
  side: Side,
  repetition: number,
): Promise<void> {
  const { records, threads } = options;
  const key = keyOf(options, model, group);
  if (records.find(key, side, repetition)) return;
  const llamaBench = group.task.kind === 'base' ? options.llamaBench : null;
  const peer = llamaBench ? 'measure-llama-bench.ts' : 'measure-node-llama.ts';
  const file = { ours: 'measure-ours.ts', peer, limit: 'measure-limit.ts' }[side];
  process.stderr.write(
    `${basename(model)}  ${describe(group)}  ${side}  ${repetition + 1} of ${options.repeat}\n`,
  );
  const at = new Date().toISOString();
  try {
    const figures = await leastDisturbed(() =>
      runChild<Figures>(file, { ...group.task, model, threads, llamaBench }),
    );
    records.add({ key, side, repetition, at, figures });
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${failure}\n`);
    records.add({ key, side, repetition, at, figures: {}, failure });
  }
}

/** Measures again, after a pause, while other programs were busy. */
async function leastDisturbed(measure: () => Promise<Figures>): Promise<Figures> {
  let best = await measure();
  for (let attempt = 1; attempt < ATTEMPTS && busyElsewhere(best) > MOST_BUSY_ELSEWHERE; attempt++) {
    process.stderr.write(
      `  other programs took ${(busyElsewhere(best) * 100).toFixed(0)} % of the time; again\n`,
    );
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    const next = await measure();
    if (busyElsewhere(next) < busyElsewhere(best)) best = next;
  }
  return best;
}

const busyElsewhere = (figures: Figures): number => figures.busyElsewhere ?? 0;

function keyOf({ threads, llamaBench }: Options, model: string, { task }: TaskGroup): string {
  const peer = llamaBench && task.kind === 'base' ? { peer: 'llama-bench' } : {};
  return JSON.stringify({ model: basename(model), bytes: statSync(model).size, threads, ...task, ...peer });
}

const describe = ({ task }: TaskGroup): string =>
  Object.entries(task)
    .map(([key, value]) => (key === 'kind' ? String(value) : `${key} ${String(value)}`))
    .join(' ');

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

interface Report {
  readonly rows: ReportRow[];
  readonly derived: DerivedRow[];
  readonly readLimit: Spread;
  /** The most of all measurements. */
  readonly busyElsewhere: number;
}

function report(options: Options): Report {
  const rows: ReportRow[] = [];
  const derived: DerivedRow[] = [];
  const all: Measurement[] = [];
  for (const model of options.models) {
    for (const group of options.groups) {
      const key = keyOf(options, model, group);
      const of = (side: Side) => options.records.of(key, side, options.repeat);
      const measured = { ours: of('ours'), peer: of('peer'), limit: of('limit') };
      all.push(...measured.ours, ...measured.peer, ...measured.limit);
      for (const row of group.rows) rows.push(reportRow(basename(model), row, measured));
      derived.push(...derivedRows(basename(model), group, measured));
    }
  }
  const limits = all.flatMap(({ figures: { bytesPerSecond } }) => bytesPerSecond ?? []);
  if (limits.length === 0) throw new Error('bench:peers: nothing has been measured yet');
  return {
    rows,
    derived,
    readLimit: spreadOf(limits),
    busyElsewhere: Math.max(...all.map(({ figures }) => busyElsewhere(figures))),
  };
}

async function main(): Promise<void> {
  await buildKernels();
  const options = await readOptions();
  if (!options) {
    process.stdout.write(HELP);
    return;
  }
  if (!options.reportOnly) installPeers();
  const machine = describeMachine();
  if (!options.reportOnly) await runAll(options);
  const result = report(options);
  const { threads, repeat, output, records } = options;
  await mkdir(join(output, '..'), { recursive: true });
  await writeFile(output, `${JSON.stringify({ machine, threads, repeat, ...result }, null, 2)}\n`);
  const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(1);
  const { min, median, max } = result.readLimit;
  process.stdout.write(
    `${machine.processor}, ${machine.processors} processors, Node ${machine.node}, node-llama-cpp ${machine.peers['node-llama-cpp']}, ` +
      `${threads} threads, load before ${machine.loadBefore.toFixed(1)}\n` +
      `memory reads ${gigabytes(median)} GB/s (${gigabytes(min)} … ${gigabytes(max)}); ` +
      `other programs took up to ${(result.busyElsewhere * 100).toFixed(0)} % of the processors’ time\n\n` +
      `${formatReport(result.rows)}\n\n${formatDerived(result.derived)}\n\n` +
      `Medians of up to ${repeat}, (least … most). Figures: ${output}\n`,
  );
  const raw = output.replace(/(\.json)?$/, '.jsonl');
  if (options.keep) records.copy(raw);
  else records.finish(raw);
}

await main();
