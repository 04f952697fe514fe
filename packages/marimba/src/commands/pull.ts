// marimba pull NAME: brings a model from the hub into the cache, lists what is there, or removes it.
import { UsageError } from '@marimba/engine';
import {
  type CachedModel,
  defaultCacheFolder,
  listCachedModels,
  pullModel,
  removeCachedModel,
} from '@marimba/engine/node';
import type { Command } from 'commander';
import { watchInterrupt } from '../interrupt.ts';
import { addHubOptions } from '../options.ts';
import { loadReporter, Progress } from '../progress.ts';
import { bold, bytes, dim, plural, printJson, table } from '../terminal.ts';
import { examples } from './examples.ts';

interface PullFlags {
  readonly list?: boolean;
  readonly remove?: boolean;
  readonly json?: boolean;
  readonly token?: string;
  readonly endpoint?: string;
}

export function register(program: Command): void {
  const command = program
    .command('pull')
    .summary('download a model from the hub, list or remove')
    .description(
      'Download a model from the hub into the cache. An interrupted download resumes where it stopped.',
    )
    .argument('[NAME]', 'owner/name, owner/name@revision, owner/name:Q4_K_M or owner/name/file.gguf')
    .option('--list', 'list what is in the cache')
    .option('--remove', 'delete NAME from the cache')
    .option('--json', 'print an object instead');
  addHubOptions(command)
    .addHelpText(
      'after',
      examples(
        [
          ['marimba pull ai21labs/AI21-Jamba2-3B', 'everything that this model needs'],
          ['marimba pull owner/name-GGUF:Q4_K_M', 'one quantisation of a GGUF repository'],
          ['marimba pull --list', 'what is in the cache, and how large'],
        ],
        `The cache is ${defaultCacheFolder()} (MARIMBA_CACHE changes it).`,
      ),
    )
    .action(run);
}

async function run(name: string | undefined, flags: PullFlags): Promise<void> {
  if (flags.list) return list(flags);
  if (name === undefined) throw new UsageError('pull: expected the name of a model, or --list');
  if (flags.remove) {
    const { removedByteLength } = await removeCachedModel(name);
    if (flags.json) printJson({ name, removedBytes: removedByteLength });
    else process.stdout.write(`Removed ${name}: ${bytes(removedByteLength)} freed.\n`);
    return;
  }
  await pull(name, flags);
}

async function pull(name: string, flags: PullFlags): Promise<void> {
  const interrupt = watchInterrupt();
  const progress = new Progress();
  try {
    const pulled = await pullModel(name, {
      token: flags.token,
      endpoint: flags.endpoint,
      signal: interrupt.signal,
      onProgress: loadReporter(progress),
    });
    progress.clear();
    if (pulled.note) process.stderr.write(`${pulled.note}\n`);
    const size = pulled.files.reduce((sum, file) => sum + file.byteLength, 0);
    if (flags.json) printJson(pulled);
    else
      process.stdout.write(
        `${bold(pulled.repository)}  ${plural(pulled.files.length, 'file')}, ${bytes(size)}\n${pulled.modelPath}\n`,
      );
  } catch (error) {
    if (interrupt.signal.aborted) process.stderr.write('\nStopped. The same command resumes the download.\n');
    interrupt.check();
    throw error;
  } finally {
    progress.clear();
    interrupt.release();
  }
}

async function list(flags: PullFlags): Promise<void> {
  const models = await listCachedModels();
  if (flags.json) return printJson(models);
  if (models.length === 0) return void process.stdout.write(`Nothing yet in ${defaultCacheFolder()}.\n`);
  const partial = ({ partialByteLength }: CachedModel) =>
    partialByteLength > 0 ? `${bytes(partialByteLength)} unfinished` : '';
  const rows = models.map((model) => [
    model.repository,
    model.revisions.join(' ') || model.commit.slice(0, 8),
    bytes(model.byteLength),
    partial(model),
  ]);
  process.stdout.write(`${table([['model', 'revision', 'size', ''].map((title) => dim(title)), ...rows])}\n`);
}
