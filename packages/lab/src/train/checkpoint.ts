// Checkpoints of a training run: weights and AdamW's moments as they lie in the arena, and where the run was.
// Data and learning rate follow from the step's number, so nothing else is needed to resume exactly.
//
// File: one line of JSON (the header, ended by a newline), then the three blocks, little-endian f32. The
// header holds their CRC-32. Written under another name, synced and renamed, so a kill at any moment leaves
// the one before intact; the last two are kept, so one that a disk damaged does not end the run.
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { FormatError } from '@marimba/engine';
import { writeWhole } from '../data/token-file.ts';
import type { Block } from './parameters.ts';
import type { TrainingRuntime } from './runtime.ts';

const FORMAT = 'marimba-checkpoint/1';
const SAVED: readonly Block[] = ['weights', 'firstMoments', 'secondMoments'];
const KEPT = 2;

interface Header {
  readonly format: typeof FORMAT;
  /** Steps done. */
  readonly step: number;
  /** AdamW's t: lower than `step` when gradients were not finite. */
  readonly updates: number;
  /** Identifies model, data and settings. */
  readonly identity: string;
  readonly count: number;
  readonly crc32: number;
}

const nameOf = (step: number): string => `step-${String(step).padStart(8, '0')}.checkpoint`;

export async function saveCheckpoint(
  folder: string,
  runtime: TrainingRuntime,
  step: number,
  identity: string,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const { store } = runtime;
  const body = new Float32Array(store.count * SAVED.length);
  SAVED.forEach((block, i) => body.set(store.block(block), i * store.count));
  const bytes = new Uint8Array(body.buffer);
  const header: Header = {
    format: FORMAT,
    step,
    updates: runtime.updates,
    identity,
    count: store.count,
    crc32: crc32(bytes),
  };
  const text = new TextEncoder().encode(`${JSON.stringify(header)}\n`);
  const file = new Uint8Array(text.length + bytes.length);
  file.set(text);
  file.set(bytes, text.length);
  const path = join(folder, nameOf(step));
  await writeWhole(path, file);
  await syncFolder(folder);
  for (const old of (await listCheckpoints(folder)).slice(KEPT)) await rm(join(folder, old), { force: true });
  return path;
}

/** A rename is only sure to survive a power cut when the folder is synced too. Not every system can. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/** Newest first. */
export async function listCheckpoints(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => /^step-\d{8,}\.checkpoint$/.test(name))
    .sort()
    .reverse();
}

/**
 * Puts the newest checkpoint that is whole into the runtime; returns the steps done, 0 when there is none.
 * Throws FormatError when it belongs to another run, or when all are damaged.
 */
export async function restoreCheckpoint(
  folder: string,
  runtime: TrainingRuntime,
  identity: string,
): Promise<number> {
  const names = await listCheckpoints(folder);
  const damages: string[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const parsed = parse(new Uint8Array(await readFile(path)), runtime.store.count);
    if (typeof parsed === 'string') {
      damages.push(`${path}: ${parsed}`);
      continue;
    }
    const { header, body } = parsed;
    if (header.identity !== identity)
      throw new FormatError(
        `${path}: expected a checkpoint of this run, found one with another model, data or settings. Choose another output folder, or restore the settings.`,
      );
    SAVED.forEach((block, i) =>
      runtime.store.block(block).set(body.subarray(i * header.count, (i + 1) * header.count)),
    );
    runtime.updates = header.updates;
    return header.step;
  }
  if (damages.length) throw new FormatError(`${damages.join('; ')}. Delete the folder to start again.`);
  return 0;
}

function parse(file: Uint8Array, count: number): { header: Header; body: Float32Array } | string {
  const end = file.indexOf(10);
  if (end < 0 || end > 4096) return 'expected a header line, found none';
  let header: Partial<Header>;
  try {
    header = JSON.parse(new TextDecoder().decode(file.subarray(0, end)));
  } catch {
    return 'expected a header in JSON, found something else';
  }
  const { format, step, updates, identity, crc32: checksum } = header;
  if (
    format !== FORMAT ||
    typeof step !== 'number' ||
    typeof updates !== 'number' ||
    typeof identity !== 'string'
  )
    return `expected a header of ${FORMAT}, found something else`;
  const bytes = file.slice(end + 1);
  if (header.count !== count || bytes.length !== count * 4 * SAVED.length)
    return `expected ${count} parameters with their moments, found ${bytes.length / 4 / SAVED.length}`;
  if (crc32(bytes) !== checksum) return 'expected intact contents, found a wrong checksum';
  return { header: header as Header, body: new Float32Array(bytes.buffer) };
}
