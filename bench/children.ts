// Every measurement runs in a process of its own, so that neither side's memory, threads or caches touch the
// other's. A child gets its task as JSON on the command line and prints its answer as one JSON line with a
// prefix, since native libraries print too.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const PREFIX = '@answer ';

/** Runs a file of this folder; rejects with what it said when it fails. */
export function runChild<Answer>(file: string, task: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, file), JSON.stringify(task)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk) => (output += String(chunk)));
    child.stderr.on('data', (chunk) => (errors += String(chunk)));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const line = output.split('\n').findLast((text) => text.startsWith(PREFIX));
      if (line) resolve(JSON.parse(line.slice(PREFIX.length)) as Answer);
      else
        reject(
          new Error(
            `${file}: ended with ${signal ?? code} and no answer. It said:\n${tail(errors + output)}`,
          ),
        );
    });
  });
}

export const readTask = <Task>(): Task => JSON.parse(process.argv[2] ?? 'null') as Task;

/** Answers and ends, without waiting for threads of native libraries. */
export function answer(value: unknown): void {
  process.stdout.write(`${PREFIX}${JSON.stringify(value)}\n`, () => process.exit(0));
}

const tail = (text: string): string => text.trim().split('\n').slice(-20).join('\n');
