// Opens or loads the MODEL of a command line, with progress and Ctrl-C.
import { type Checkpoint, type LoadModelOptions, loadModel, type Model } from '@marimba/engine';
import { openSource } from '@marimba/engine/node';
import { locate } from './box.ts';
import type { Interrupt } from './interrupt.ts';
import { Progress, pace } from './progress.ts';

type DownloadProgress = Parameters<NonNullable<LoadModelOptions['onDownload']>>[0];

/** The overall figures of a download where the hub reports them, those of one file otherwise. */
function downloadReporter(progress: Progress): (update: DownloadProgress) => void {
  return (update) => {
    const { receivedBytes, totalBytes } = 'overall' in update ? (update.overall as DownloadProgress) : update;
    const speed = 'bytesPerSecond' in update ? Number(update.bytesPerSecond) : 0;
    progress.show('Downloading', receivedBytes, totalBytes, pace(receivedBytes, totalBytes, speed));
  };
}

/** Headers only: nothing of the weights is read. The caller closes it. */
export async function openModelFiles(
  source: string,
  options: LoadModelOptions,
  interrupt: Interrupt,
): Promise<Checkpoint> {
  const progress = new Progress();
  try {
    return await openSource(locate(source), {
      ...options,
      signal: interrupt.signal,
      onDownload: downloadReporter(progress),
    });
  } finally {
    progress.clear();
  }
}

export async function loadForCommand(
  source: string,
  options: LoadModelOptions,
  interrupt: Interrupt,
): Promise<Model> {
  const progress = new Progress();
  try {
    return await loadModel(locate(source), {
      ...options,
      signal: interrupt.signal,
      onDownload: downloadReporter(progress),
      onProgress: ({ loadedBytes, totalBytes }) => {
        if (process.stderr.isTTY) progress.show('Loading', loadedBytes, totalBytes);
      },
    });
  } finally {
    progress.clear();
    interrupt.check();
  }
}
