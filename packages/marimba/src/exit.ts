// How a command ends: which exit code an error stands for, and what is said about it.
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
  const message = error instanceof Error ? error.message : String(error);
  const debug = process.env.MARIMBA_DEBUG && error instanceof Error ? `\n${error.stack ?? ''}` : '';
  process.stderr.write(`${red('error:', process.stderr)} ${message}${debug}\n`);
  // A crash is ours to explain; anything thrown on purpose has said what to do.
  if (error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError)
    process.stderr.write('This looks like a bug in marimba. Run again with MARIMBA_DEBUG=1 for details.\n');
}

function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted) return EXIT.interrupted;
  if (error instanceof UsageError) return EXIT.usage;
  // Commander throws for --help and --version too, with exit code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  return EXIT.failed;
}
