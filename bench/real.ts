// `npm run test:real`: real models beside the programs that others run them with. For each model that is
// at hand it prints what was held of it and the figures; --write puts the table into docs/models.md,
// --short does without what takes long, --speed adds speeds beside llama-bench (five rounds in turns; on a
// quiet machine), --models A,B picks. MARIMBA_MODELS names the folder with the files, LLAMA_BIN that with
// llama.cpp's programs, PYTHON an interpreter with torch, transformers, accelerate, gguf and jinja2; what
// needs one that is not there is skipped by its name. Exit code 1 where something is wrong.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadModel, type Model } from '@marimba/engine';
import { runChild } from './children.ts';
import * as checks from './real/checks.ts';
import { downloadBytes, findModel, REAL_MODELS, type RealModel } from './real/models.ts';
import { llamaProgram } from './real/peers.ts';
import type { Figures } from './tasks.ts';

interface Row {
  readonly title: string;
  readonly run: (subject: checks.Subject) => Promise<checks.Outcome>;
  readonly kind: RealModel['kind'] | 'both';
  /** Left out of --short. */
  readonly long?: true;
}

const ROWS: readonly Row[] = [
  { title: 'logits in f32', run: checks.logits, kind: 'text', long: true },
  { title: 'embeddings', run: checks.embeddings, kind: 'embedder' },
  { title: 'tokens, nine scripts', run: checks.tokens, kind: 'both' },
  { title: 'chat template', run: checks.template, kind: 'text' },
  { title: '200 greedy tokens', run: checks.greedy, kind: 'text', long: true },
  { title: 'perplexity, 8 × 512', run: checks.perplexity, kind: 'text', long: true },
  { title: 'five turns, fork, edit, restore', run: checks.conversation, kind: 'text' },
];

const MIB = 2 ** 20;
const mib = (bytes: number) => `${(bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0)} MiB`;

/** What stands in the table's column of a model, by the title of the row. */
type Column = Map<string, string>;

function facts(model: RealModel, path: string, { memory, spec }: Model): Column {
  return new Map([
    ['from', `\`${model.hub}\``],
    ['format', model.format],
    ['licence', model.licence],
    ['good for', model.goodFor],
    ['download', mib(downloadBytes(path))],
    ['memory for weights', mib(memory.weightBytes)],
    ['state of a session', memory.recurrentBytes ? mib(memory.recurrentBytes) : 'none but the cache'],
    ['cache per token', spec.encoder ? 'none' : `${(memory.cacheBytesPerToken / 1024).toFixed(1)} KiB`],
  ]);
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;

/** Both sides in turns, a process for each run. */
async function speeds(path: string, threads: number): Promise<Column> {
  const llamaBench = llamaProgram('llama-bench');
  const task = { kind: 'base', model: path, threads, prompt: 256, decode: 48 };
  const rounds: { ours: Figures; theirs: Figures | null }[] = [];
  for (let round = 0; round < 5; round++)
    rounds.push({
      ours: await runChild<Figures>('measure-ours.ts', task),
      theirs: llamaBench ? await runChild<Figures>('measure-llama-bench.ts', { ...task, llamaBench }) : null,
    });
  const figure = (id: string, show: (value: number) => string) => {
    const own = median(rounds.map(({ ours }) => ours[id]!));
    const peer = rounds[0]!.theirs ? median(rounds.map(({ theirs }) => theirs![id]!)) : null;
    return `${show(own)}${peer === null ? '' : `, llama.cpp ${show(peer)}: ${(own / peer).toFixed(2)} ×`}`;
  };
  const perSecond = (value: number) => `${value.toFixed(0)}/s`;
  return new Map([
    ['prompt of 256', figure('prompt', perSecond)],
    ['decode', figure('decode', perSecond)],
    ['resident memory, peak', figure('peakBytes', mib)],
  ]);
}

const MARK = '<!-- test:real -->';

function table(columns: ReadonlyMap<string, Column>): string {
  const titles = [...new Set([...columns.values()].flatMap((column) => [...column.keys()]))];
  const rows = [
    ['', ...columns.keys()],
    ['---', ...[...columns].map(() => '---')],
    ...titles.map((title) => [title, ...[...columns.values()].map((column) => column.get(title) ?? '')]),
  ];
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

async function examine(
  model: RealModel,
  path: string,
  options: { short: boolean; threads: number; speed: boolean },
): Promise<{ column: Column; wrong: number }> {
  const { threads } = options;
  const loaded = await loadModel(path, { threads });
  const column = facts(model, path, loaded);
  let wrong = 0;
  try {
    for (const note of loaded.notes) process.stdout.write(`${model.name}: note: ${note}\n`);
    for (const { title, run, kind, long } of ROWS) {
      if ((kind !== 'both' && kind !== model.kind) || (options.short && long)) continue;
      const found = await run({ path, model: loaded, threads }).catch(
        (error: unknown): checks.Outcome => ({ kind: 'wrong', text: `${error}` }),
      );
      process.stdout.write(`${model.name}: ${found.kind.padEnd(7)} ${title}: ${found.text}\n`);
      column.set(title, found.kind === 'right' ? found.text : `${found.kind}: ${found.text}`);
      if (found.kind === 'wrong') wrong++;
    }
  } finally {
    await loaded.close();
  }
  if (options.speed && model.kind === 'text')
    for (const [title, text] of await speeds(path, threads)) column.set(title, text);
  return { column, wrong };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      models: { type: 'string' },
      threads: { type: 'string', default: '2' },
      short: { type: 'boolean', default: false },
      speed: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
    },
  });
  const folder = process.env.MARIMBA_MODELS;
  if (!folder)
    throw new Error(
      'test:real: expected MARIMBA_MODELS, the folder with the files of the models, found nothing',
    );
  const wanted = values.models?.split(',');
  const columns = new Map<string, Column>();
  let wrong = 0;
  for (const model of REAL_MODELS) {
    if (wanted && !wanted.includes(model.name)) continue;
    const path = findModel(model, folder);
    if (!path) {
      process.stdout.write(`${model.name}: skipped: no ${model.files.join(' or ')} in ${basename(folder)}\n`);
      continue;
    }
    const found = await examine(model, path, {
      short: values.short,
      speed: values.speed,
      threads: Number(values.threads),
    });
    columns.set(model.name, found.column);
    wrong += found.wrong;
  }
  process.stdout.write(`\n${table(columns)}\n`);
  if (values.write) {
    const page = join(import.meta.dirname, '../docs/models.md');
    const [before, , after] = readFileSync(page, 'utf8').split(MARK);
    writeFileSync(page, `${before}${MARK}\n${table(columns)}\n${MARK}${after}`);
  }
  if (wrong > 0 || columns.size === 0) process.exitCode = 1;
}

await main();
