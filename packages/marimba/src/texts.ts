// Texts from files, for commands that take several.
import { readStandardInput, readTextFile } from './text-input.ts';

/** A whole file; - is standard input. Throws UsageError with the command's name where it is no text. */
export const readText = (file: string, command: string): string =>
  file === '-' ? readStandardInput() : readTextFile(file, `${command}:`);

/** Its lines, without those that hold nothing. */
export const readLines = (file: string, command: string): string[] =>
  readText(file, command)
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '');
