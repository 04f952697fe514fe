// How a command ends: which exit code an error stands for, and what is said about it.
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { UsageError } from '@marimba/engine';
import { CommanderError } from 'commander';
import { red } from './terminal.ts';

export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** The user stopped the command; everything worth showing has been shown. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Reports an error, without its stack unless MARIMBA_DEBUG is set, and sets the exit code. */
export function endWith(error: unknown): void {
  process.exitCode = exitCodeOf(error);
  if (error instanceof Interrupted || error instanceof CommanderError) return;
  const debug = process.env.MARIMBA_DEBUG && error instanceof Error ? `\n${error.stack ?? ''}` : '';
  process.stderr.write(`${red('error:', process.stderr)} ${explain(error)}${debug}\n`);
  // A crash is ours to explain; anything thrown on purpose has said what to do.
  if (error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError)
    process.stderr.write('This looks like a bug in marimba. Run again with MARIMBA_DEBUG=1 for details.\n');
}

/** The message of an error; where the operating system refused a file, in the words of all other errors. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  if (code === undefined) return error.message;
  // Files are written under another name first; the user knows the one that they were to get.
  const name = path?.replace(/\.[\da-f-]+\.partial$/, '');
  if (name === undefined) return REFUSALS[code] ?? error.message;
  if (code === 'ENOENT')
    return existsSync(dirname(name))
      ? `${name}: expected a file, found nothing there. Check the path.`
      : `${name}: expected a folder ${dirname(name)}, found none. Check the path, or create the folder.`;
  return REFUSALS[code] ? `${name}: ${REFUSALS[code]}` : error.message;
}

const REFUSALS: Readonly<Record<string, string>> = {
  EACCES: 'expected permission to use it, found none',
  EPERM: 'expected permission to use it, found none',
  EROFS: 'expected a place that can be written, found a read-only file system',
  EISDIR: 'expected a file, found a folder',
  ENOTDIR: 'expected a folder, found a file on the way to it',
  ENOSPC: 'expected room on the disk, found it full',
  EMFILE: 'expected another file to be opened, found the limit of open files reached',
};

function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted) return EXIT.interrupted;
  if (error instanceof UsageError) return EXIT.usage;
  // Commander throws for --help and --version too, with exit code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  return EXIT.failed;
}
