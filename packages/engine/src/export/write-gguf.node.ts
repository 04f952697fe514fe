// Writes a GGUF file piece by piece: first the header, then every tensor in jobs of a few megabytes that
// worker threads carry out. Needs tens of megabytes of memory, whatever the size of the model. The file is
// renamed to its own name only when it is complete; after any failure nothing half-written is left.
import { type FileHandle, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { FormatError, ModelError, reviveError, UsageError } from '../errors.ts';
import { createGgufWriter, type GgufLayout } from '../formats/gguf-writer.ts';
import { bytesOf, countRows, rowLength, runsOf, sliceRuns } from '../formats/rows.ts';
import { byteLengthOf, TENSOR_TYPES } from '../formats/tensor-types.ts';
import type { Checkpoint } from '../formats/types.ts';
import { addLoss, type ConvertJob, type Loss, NO_LOSS } from './convert-rows.ts';
import type { ConvertAnswer } from './convert-worker.node.ts';
import type { GgufContents, GgufTensor } from './gguf-model.ts';

export interface WriteOptions {
  /** Worker threads. Default: one per processor, at most 8. */
  readonly threads?: number | undefined;
  /** Replace an existing file. Default: refuse. */
  readonly overwrite?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: WriteProgress) => void) | undefined;
}

export interface WriteProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface WrittenFile {
  readonly byteLength: number;
  readonly tensors: GgufLayout['tensors'];
  /** What rounding did to each tensor, in the order of the contents. */
  readonly losses: readonly Loss[];
}

/** Elements of one job: about 10 MB per thread, with the copies that quantising makes. */
const JOB_ELEMENTS = 1 << 20;

/** Throws UsageError when `out` cannot be written to, ModelError when the disk has no room. */
export async function writeGguf(
  contents: GgufContents,
  out: string,
  options: WriteOptions = {},
): Promise<WrittenFile> {
  const layout = createGgufWriter(contents);
  const path = resolve(out);
  await checkTarget(path, layout.byteLength, options.overwrite ?? false);
  const partial = `${path}.partial`;
  try {
    const file = await open(partial, 'w');
    try {
      await file.truncate(layout.byteLength);
      await writeAll(file, layout.header);
    } finally {
      await file.close();
    }
    const losses = await convertAll(contents.tensors, layout, partial, options);
    await rename(partial, path);
    return { byteLength: layout.byteLength, tensors: layout.tensors, losses };
  } catch (error) {
    await rm(partial, { force: true });
    throw describeFailure(error, path, layout.byteLength);
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, done)).bytesWritten;
}

/** Refuses at once what would fail after hours of work. */
async function checkTarget(path: string, byteLength: number, overwrite: boolean): Promise<void> {
  const existing = await stat(path).catch(() => null);
  if (existing?.isDirectory())
    throw new UsageError(`${path}: expected the name of a file to write, found a folder`);
  if (existing && !overwrite)
    throw new UsageError(
      `${path}: expected no file of that name, found one. Choose another name, or overwrite it (--force).`,
    );
  const folder = dirname(path);
  const space = await statfs(folder).catch((cause: unknown) => {
    throw new UsageError(`${path}: expected a folder to write to, found none (${folder}). Create it first.`, {
      cause,
    });
  });
  const free = space.bavail * space.bsize;
  if (free < byteLength)
    throw new ModelError(
      `${path}: expected ${mib(byteLength)} of free disk space, found ${mib(free)}. Free some, or write to another disk.`,
    );
}

/** Refuses to write over the file that is being read, also under another name. Throws UsageError. */
export async function refuseSameFile(checkpoint: Checkpoint, out: string): Promise<void> {
  const target = await stat(resolve(out)).catch(() => null);
  if (!target) return;
  for (const { source } of checkpoint.tensors.values()) {
    if (source.handle?.kind !== 'path') continue;
    const file = await stat(source.handle.path);
    if (file.ino === target.ino && file.dev === target.dev)
      throw new UsageError(`${out}: expected another file than the model that is read, found the same one`);
  }
}

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

function describeFailure(error: unknown, path: string, byteLength: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG')
    return new ModelError(
      `${path}: expected room for ${mib(byteLength)}, found a full disk (${code}). Free some space, or write to another disk.`,
      { cause: error },
    );
  if (['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENOENT'].includes(`${code}`))
    return new UsageError(`${path}: expected a folder that can be written to, found none (${code})`, {
      cause: error,
    });
  return error;
}

function* jobsOf(tensors: readonly GgufTensor[], layout: GgufLayout): Generator<ConvertJob> {
  for (const [index, tensor] of tensors.entries()) {
    const columns = columnsOf(tensor);
    const step = Math.max(1, Math.floor(JOB_ELEMENTS / columns));
    let to = layout.tensors[index]!.offset;
    for (const part of tensor.parts) {
      const { source, name, type, offset } = part.tensor;
      if (!source.handle) throw new FormatError(`${source.name}: expected a source that threads can open`);
      const runs = runsOf(part, columns);
      const rows = countRows(runs);
      for (let row = 0; row < rows; row += step) {
        const count = Math.min(step, rows - row);
        yield {
          tensor: index,
          name: `${source.name}: tensor ${name}`,
          source: source.handle,
          type,
          target: tensor.type,
          offset,
          runs: sliceRuns(runs, row, count),
          columns,
          negateExp: tensor.negateExp,
          add: tensor.add,
          columnRuns: tensor.columnRuns,
          to,
        };
        to += byteLengthOf(tensor.type, count * columns);
      }
    }
  }
}

/** A vector is one row, except where its values are taken apart. */
const columnsOf = ({ shape, parts }: GgufTensor): number =>
  parts.every(({ runs }) => runs === null) ? shape.at(-1)! : rowLength(shape);

/** Bytes that are read for a tensor. */
export const sourceBytes = (tensor: GgufTensor): number =>
  tensor.parts.reduce((sum, part) => sum + bytesOf(part, columnsOf(tensor)), 0);

async function convertAll(
  tensors: readonly GgufTensor[],
  layout: GgufLayout,
  path: string,
  options: WriteOptions,
): Promise<Loss[]> {
  const losses = tensors.map(() => NO_LOSS);
  const totalBytes = tensors.reduce((sum, tensor) => sum + sourceBytes(tensor), 0);
  let doneBytes = 0;
  const jobs = jobsOf(tensors, layout);
  const threads = Math.max(1, options.threads ?? Math.min(8, availableParallelism()));
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL('./convert-worker.node.ts', import.meta.url), { workerData: { path } }),
  );
  const consume = async (worker: Worker) => {
    for (const job of jobs) {
      options.signal?.throwIfAborted();
      const answer = await ask(worker, job, options.signal);
      if (answer.kind === 'failed') throw reviveError(answer.error);
      losses[answer.tensor] = addLoss(losses[answer.tensor]!, answer.loss);
      doneBytes += answer.sourceBytes;
      options.onProgress?.({ doneBytes, totalBytes });
    }
  };
  try {
    // The first failure closes the generator, which ends the loops of the other threads too.
    await Promise.all(workers.map(consume));
    return losses;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function ask(worker: Worker, job: ConvertJob, signal: AbortSignal | undefined): Promise<ConvertAnswer> {
  return new Promise((settle, reject) => {
    const done = (act: () => void) => {
      worker.off('message', onMessage).off('error', onError);
      signal?.removeEventListener('abort', onAbort);
      act();
    };
    const onMessage = (answer: ConvertAnswer) => done(() => settle(answer));
    const onError = (error: Error) => done(() => reject(error));
    const onAbort = () => done(() => reject(signal?.reason as Error));
    worker.on('message', onMessage).on('error', onError);
    signal?.addEventListener('abort', onAbort);
    worker.postMessage(job);
  });
}

/** Bits per weight over all tensors, for reports. */
export function bitsPerWeightOf(tensors: readonly GgufTensor[]): number {
  let bits = 0;
  let elements = 0;
  for (const { shape, type } of tensors) {
    const count = shape.reduce((a, b) => a * b, 1);
    elements += count;
    bits += (count * TENSOR_TYPES[type].blockBytes * 8) / TENSOR_TYPES[type].blockLength;
  }
  return bits / elements;
}
