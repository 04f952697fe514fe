// A trained model as a GGUF file for llama.cpp, f32; quantise it with `marimba quantize`. The engine writes
// it, as it does for `quantize`: the file is what `quantize --type f32` makes of the exported Hugging Face
// folder.
import { ModelError, type ModelSpec } from '@marimba/engine';
import {
  type FoundWeight,
  ggufContents,
  ggufForm,
  llamaCppLimits,
  memoryTensor,
  type NeededWeight,
  neededWeights,
  type TokenizerFiles,
} from '@marimba/engine/architecture';
import type { JsonObject } from '@marimba/engine/formats';
import { writeGguf } from '@marimba/engine/node';
import type { ParameterStore } from '../train/parameters.ts';
import type { ExportedText, ExportOptions } from './options.ts';

/** Replaces a file that is there. Throws ModelError as `checkGguf` does. */
export async function exportGguf(
  store: ParameterStore,
  spec: ModelSpec,
  path: string,
  { name = 'marimba', text }: ExportOptions = {},
): Promise<void> {
  checkGguf(spec, name);
  const parameters = new Map(store.list.map((parameter) => [labelOf(parameter), parameter]));
  const weights = neededWeights(spec).map((weight): FoundWeight => {
    const label = labelOf(weight);
    const values = store.read(parameters.get(label)!);
    return { ...weight, sources: [{ tensor: memoryTensor(label, weight.shape, values), runs: null }] };
  });
  const model = { name, spec, weights, tokenizer: filesOf(text) };
  await writeGguf(ggufContents(model, 'f32'), path, { overwrite: true });
}

const labelOf = ({ layer, role }: NeededWeight): string => `${layer}.${role}`;

/**
 * Throws ModelError when no GGUF architecture holds the model, or llama.cpp would not run it as it was
 * trained.
 */
export function checkGguf(spec: ModelSpec, name: string): void {
  const limits = llamaCppLimits(spec, ggufForm(spec, name));
  if (limits.length)
    throw new ModelError(
      `${name}: expected a model that llama.cpp runs as it was trained, found another: ${limits.join('; ')}. Export a Hugging Face folder instead.`,
    );
}

function filesOf(text: ExportedText | undefined): TokenizerFiles {
  const parse = (json: string | undefined) => (json === undefined ? null : (JSON.parse(json) as JsonObject));
  return { json: parse(text?.tokenizerJson), config: parse(text?.tokenizerConfig), chatTemplates: new Map() };
}
