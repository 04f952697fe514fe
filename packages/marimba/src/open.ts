// Opens or loads the MODEL of a command line, with progress and Ctrl-C.
import { existsSync } from 'node:fs';
import { type Checkpoint, type LoadModelOptions, loadModel, type Model, UsageError } from '@marimba/engine';
import { openSource } from '@marimba/engine/node';
import { BUNDLED, locate } from './bundled.ts';
import { KNOWN_MODELS } from './describe/known-models.ts';
import type { Interrupt } from './interrupt.ts';
import { loadReporter, Progress } from './progress.ts';

/** Where a MODEL is, after a look at whether its name can be one at all. */
function sourceOf(name: string): string {
  if (/[/\\]|\.(gguf|safetensors|json)$/.test(name) || existsSync(name)) return locate(name);
  if (name === BUNDLED) return locate(name);
  const known = KNOWN_MODELS.find((model) => model.name === name.toLowerCase());
  if (known)
    throw new UsageError(
      `${name}: expected a model's file, folder or hub name, found a name for "marimba plan". ` +
        `The model itself is ${known.hub}.`,
    );
  if (/\s/.test(name))
    throw new UsageError(
      `${JSON.stringify(name)}: expected a model, found a text. To continue it: marimba generate --prompt ` +
        JSON.stringify(name),
    );
  throw new UsageError(
    `${name}: expected a model's file or folder, or a hub name such as owner/name; found nothing of that name here. ` +
      'Check the path. "marimba models" lists names on the hub.',
  );
}

/** Headers only: nothing of the weights is read. The caller closes it. */
export async function openModelFiles(
  source: string,
  options: LoadModelOptions,
  interrupt: Interrupt,
): Promise<Checkpoint> {
  const progress = new Progress();
  try {
    return await openSource(sourceOf(source), {
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
    const model = await loadModel(sourceOf(source), {
      ...options,
      signal: interrupt.signal,
      onProgress: loadReporter(progress),
    });
    // Which bytes a vocabulary has no token for is a fact of the model: `inspect` tells it.
    for (const note of model.notes)
      if (!note.includes('bytes have no token')) progress.note(`${model.name}: ${note}`);
    return model;
  } finally {
    progress.clear();
    interrupt.check();
  }
}
