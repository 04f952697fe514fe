// A worker thread of `writeGguf`: reads rows, converts them, writes them to their place in the new file.
// Every job has its own range of the file, so threads never write to the same bytes.
import { type FileHandle, open } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { type ErrorRecord, recordError } from '../errors.ts';
import { openHandle } from '../formats/byte-source.node.ts';
import { readRuns } from '../formats/rows.ts';
import { byteLengthOf } from '../formats/tensor-types.ts';
import type { ByteSource } from '../formats/types.ts';
import { type ConvertJob, convertRows, type Loss } from './convert-rows.ts';

/** What the thread answers to a job. */
export type ConvertAnswer =
  | { readonly kind: 'done'; readonly tensor: number; readonly sourceBytes: number; readonly loss: Loss }
  | { readonly kind: 'failed'; readonly error: ErrorRecord };

const sources = new Map<string, Promise<ByteSource>>();
let target: Promise<FileHandle> | null = null;

async function run(job: ConvertJob): Promise<ConvertAnswer> {
  const key = job.source.kind === 'path' ? job.source.path : job.name;
  let source = sources.get(key);
  if (!source) sources.set(key, (source = openHandle(job.source, job.name)));
  const { read } = await source;
  const raw = await readRuns(job.runs, byteLengthOf(job.type, job.columns), job.offset, read);
  const { bytes, loss } = convertRows(job, raw);
  const file = await (target ??= open((workerData as { path: string }).path, 'r+'));
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, job.to + done)).bytesWritten;
  return { kind: 'done', tensor: job.tensor, sourceBytes: raw.length, loss };
}

parentPort?.on('message', (job: ConvertJob) => {
  const answer = (message: ConvertAnswer) => parentPort?.postMessage(message);
  run(job).then(answer, (error: unknown) => answer({ kind: 'failed', error: recordError(error) }));
});
