// A trained model as a Hugging Face folder for transformers and this engine, f32; quantise it with `marimba
// quantize`.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelSpec } from '@marimba/engine';
import { type JsonObject, safetensorsHeader } from '@marimba/engine/formats';
import { writeWhole } from '../data/token-file.ts';
import { partsOf } from '../train/load-weights.ts';
import { specOfConfig } from '../train/model-config.ts';
import type { ParameterStore } from '../train/parameters.ts';
import type { ExportOptions } from './options.ts';
import { type PublishedForm, publishedForm } from './published-family.ts';

/** Writes config.json, model.safetensors and the tokenizer; returns the family that holds the model. */
export async function exportHuggingFace(
  store: ParameterStore,
  spec: ModelSpec,
  config: JsonObject,
  folder: string,
  options: ExportOptions = {},
): Promise<PublishedForm> {
  const form = publishedForm(spec, config);
  await mkdir(folder, { recursive: true });
  await writeWhole(join(folder, 'model.safetensors'), safetensorsFile(store, form.config));
  if (options.text) {
    await writeWhole(join(folder, 'tokenizer.json'), options.text.tokenizerJson);
    await writeWhole(join(folder, 'tokenizer_config.json'), options.text.tokenizerConfig);
  }
  await writeWhole(join(folder, 'config.json'), `${JSON.stringify(form.config, null, 2)}\n`);
  return form;
}

function safetensorsFile(store: ParameterStore, config: JsonObject): Uint8Array {
  const { family } = specOfConfig('export', config);
  const parts = store.list.flatMap((parameter) => partsOf(parameter, family));
  const shapeOf = ({ parameter, count }: (typeof parts)[number]): readonly number[] => {
    if (parameter.order === 'transposed') return [parameter.shape[0]!, 1, parameter.shape[1]!];
    return count < parameter.shape.reduce((product, size) => product * size, 1)
      ? parameter.shape.slice(1)
      : parameter.shape;
  };
  const layout = safetensorsHeader(
    parts.map((part) => ({ name: part.name, type: 'F32' as const, shape: shapeOf(part) })),
  );
  const file = new Uint8Array(layout.byteLength);
  file.set(layout.header);
  const places = new Map(layout.tensors.map((tensor) => [tensor.name, tensor]));
  for (const { name, parameter, start, count } of parts) {
    const values = store.read(parameter).subarray(start, start + count);
    file.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), places.get(name)!.offset);
  }
  return file;
}
