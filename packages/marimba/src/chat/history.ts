// Messages of earlier conversations, for the Up key: one JSON string per line in a file that only its owner
// can read.
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** Kept when the file is read; in between it grows to whatever one conversation adds. */
export const MOST_ENTRIES = 1000;
/** A longer message, such as a pasted book, is not kept. */
const LONGEST_ENTRY = 16_384;

/** Where the history is kept; null where MARIMBA_HISTORY is set to nothing. */
export function historyPath(env: NodeJS.ProcessEnv = process.env): string | null {
  if (env.MARIMBA_HISTORY !== undefined) return env.MARIMBA_HISTORY || null;
  const state =
    process.platform === 'win32'
      ? (env.LOCALAPPDATA ?? join(homedir(), 'AppData/Local'))
      : (env.XDG_STATE_HOME ?? join(homedir(), '.local/state'));
  return join(state, 'marimba', 'history');
}

export class History {
  readonly #path: string | null;
  readonly #entries: string[];

  /** Reads what is there. A file that cannot be read or written costs the history, never the conversation. */
  constructor(path: string | null = historyPath()) {
    this.#path = path;
    const all = path === null ? [] : readEntries(path);
    this.#entries = all.slice(-MOST_ENTRIES);
    if (path !== null && all.length > this.#entries.length)
      quietly(() => writeFileSync(path, this.#entries.map(line).join(''), { mode: 0o600 }));
  }

  get entries(): readonly string[] {
    return this.#entries;
  }

  /** Appends a message, unless it is the last one again. */
  add(text: string): void {
    if (!text.trim() || text.length > LONGEST_ENTRY || text === this.#entries.at(-1)) return;
    this.#entries.push(text);
    const path = this.#path;
    if (path === null) return;
    quietly(() => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      appendFileSync(path, line(text), { mode: 0o600 });
    });
  }
}

const line = (text: string): string => `${JSON.stringify(text)}\n`;

function readEntries(path: string): string[] {
  const text = quietly(() => readFileSync(path, 'utf8')) ?? '';
  return text.split('\n').flatMap((one) => {
    const value: unknown = one && quietly(() => JSON.parse(one));
    return typeof value === 'string' && value ? [value] : [];
  });
}

function quietly<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}
