// Opens or loads the MODEL of a command line, with progress and Ctrl-C.
import { type Checkpoint, type LoadModelOptions, loadModel, type Model } from '@marimba/engine';
import { openSource } from '@marimba/engine/node';
import { locate } from './bundled.ts';
import type { Interrupt } from './interrupt.ts';
import { loadReporter, Progress } from './progress.ts';

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
      onProgress: loadReporter(progress),
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
      onProgress: loadReporter(progress),
    });
  } finally {
    progress.clear();
    interrupt.check();
  }
}
