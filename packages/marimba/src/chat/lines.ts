// Lines of input, from a terminal or a pipe, as something to wait for. Lines that come early are kept.
import { createInterface } from 'node:readline';

export interface LineReader {
  /** The next line, or null at the end of input. A line that ends in a backslash continues on the next. */
  next(prompt: string): Promise<string | null>;
  /** Ctrl-C while this reader has the terminal. */
  onInterrupt(listener: () => void): void;
  close(): void;
}

export function readLines(): LineReader {
  const isTerminal = Boolean(process.stdin.isTTY && process.stdout.isTTY);
  const reader = createInterface({ input: process.stdin, output: process.stdout, terminal: isTerminal });
  const waiting: string[] = [];
  let ended = false;
  let wake: () => void = () => {};
  reader.on('line', (line) => {
    waiting.push(line);
    wake();
  });
  reader.on('close', () => {
    ended = true;
    wake();
  });
  const line = async (prompt: string): Promise<string | null> => {
    if (isTerminal && waiting.length === 0 && !ended) {
      reader.setPrompt(prompt);
      reader.prompt();
    }
    while (waiting.length === 0) {
      if (ended) return null;
      await new Promise<void>((resolve) => (wake = resolve));
    }
    return waiting.shift()!;
  };
  return {
    async next(prompt) {
      let text = await line(prompt);
      while (text?.endsWith('\\')) {
        const more = await line('… ');
        text = `${text.slice(0, -1)}\n${more ?? ''}`;
        if (more === null) break;
      }
      return text;
    },
    onInterrupt(listener) {
      if (isTerminal) reader.on('SIGINT', listener);
      else process.on('SIGINT', listener);
    },
    close: () => reader.close(),
  };
}
