// Examples in help texts.
import { bold, cyan, dim } from '../terminal.ts';
import { wrapText } from '../wrap.ts';

/** The examples section of a help text (a command line, and what it is for), and notes below it, wrapped. */
export function examples(
  list: readonly (readonly [command: string, purpose: string])[],
  ...notes: readonly string[]
): string {
  const lines = list.map(([command, purpose]) => `  ${dim(`# ${purpose}`)}\n  ${cyan(command)}`);
  const wrapped = notes.map((note) => wrapText(note));
  return `\n${bold('Examples:')}\n${lines.join('\n')}\n${wrapped.length ? `\n${wrapped.join('\n')}\n` : ''}`;
}
