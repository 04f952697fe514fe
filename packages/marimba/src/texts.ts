// Texts from files, for commands that take several.
import { readFileSync } from 'node:fs';
import { UsageError } from '@marimba/engine';

/** A whole file; - is standard input. Throws UsageError with the command's name where it cannot be read. */
export function readText(file: string, command: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (cause) {
    throw new UsageError(`${command}: ${file}: expected a text file, found nothing that can be read`, {
      cause,
    });
  }
}

/** Its lines, without those that hold nothing. */
export const readLines = (file: string, command: string): string[] =>
  readText(file, command)
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '');
