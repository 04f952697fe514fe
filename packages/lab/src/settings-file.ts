// Files that hold settings: JSON, or a module whose default export they are. Says what helps where one cannot
// be loaded.
import { readFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { UsageError } from '@marimba/engine';

/**
 * The content of a .json, .mjs, .js or .ts file. Throws UsageError, with what to do, where it cannot be read.
 */
export async function readSettings(path: string, what: string): Promise<unknown> {
  const full = resolve(path);
  try {
    if (extname(full) === '.json') return JSON.parse(readFileSync(full, 'utf8')) as unknown;
    return ((await import(pathToFileURL(full).href)) as { default?: unknown }).default;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(
      `${path}: expected ${what} as JSON or a module, found none: ${reason}. ${remedy(error)}`.trim(),
      { cause: error },
    );
  }
}

function remedy(error: unknown): string {
  switch (error instanceof Error && 'code' in error ? error.code : undefined) {
    case 'ERR_UNKNOWN_FILE_EXTENSION':
      return `This Node (${process.version}) runs no TypeScript: use 22.18 or newer, or write it as .mjs or .json.`;
    case 'ERR_MODULE_NOT_FOUND':
      return 'A file without imports works everywhere: `export default { … }`, or the same as JSON.';
    default:
      return '';
  }
}
