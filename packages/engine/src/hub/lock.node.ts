// One process at a time writes a file. The lock is a file made with O_EXCL that names its holder; it counts
// as left behind when that process is gone (same machine) or has not touched it for a minute (another
// machine, a reused pid). Should two ever hold it together after all, checksums still keep a damaged file
// from getting its final name.

import { randomUUID } from 'node:crypto';
import { link, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';

export interface FileLock {
  release(): Promise<void>;
}

const HEARTBEAT_MS = 10_000;
const ABANDONED_MS = 60_000;

/** Takes the lock; null when somebody alive has it. */
export async function tryLock(path: string): Promise<FileLock | null> {
  const content = JSON.stringify({ pid: process.pid, host: hostname(), id: randomUUID() });
  if (!(await create(path, content))) {
    const holder = await readFile(path, 'utf8').catch(() => null);
    if (holder === null || (await isHeld(path))) return null;
    if (!(await breakLock(path, holder)) || !(await create(path, content))) return null;
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return {
    async release() {
      clearInterval(heartbeat);
      const current = await readFile(path, 'utf8').catch(() => null);
      if (current === content) await rm(path, { force: true });
    },
  };
}

/** True when the lock exists and its holder seems to be at work. */
export async function isHeld(path: string): Promise<boolean> {
  const [text, info] = await Promise.all([
    readFile(path, 'utf8').catch(() => null),
    stat(path).catch(() => null),
  ]);
  if (text === null || info === null) return false;
  if (Date.now() - info.mtimeMs > ABANDONED_MS) return false;
  const holder = parseHolder(text);
  // Empty or cut short: made this very moment, or its maker died in it and the minute decides.
  if (holder === null || holder.host !== hostname()) return true;
  return isAlive(holder.pid);
}

async function create(path: string, content: string): Promise<boolean> {
  try {
    const handle = await open(path, 'wx');
    try {
      await handle.writeFile(content);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Moves an abandoned lock away. If another process was faster, what was moved is its fresh lock: put it back.
 */
async function breakLock(path: string, expected: string): Promise<boolean> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    return false;
  }
  const moved = await readFile(aside, 'utf8').catch(() => null);
  if (moved !== expected) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
  return moved === expected;
}

function parseHolder(text: string): { pid: number; host: string } | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('host' in value)) return null;
    const { pid, host } = value;
    if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 0 || typeof host !== 'string')
      return null;
    return { pid, host };
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
