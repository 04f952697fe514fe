// A trained model as a Hugging Face folder for transformers and this engine, f32; quantise it with `marimba
// quantize`.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelSpec } from '@marimba/engine';
import { sizeOf } from '@marimba/engine/architecture';
import { type JsonObject, rowLength, safetensorsHeader } from '@marimba/engine/formats';
import { writeWhole } from '../data/token-file.ts';
import { eachRow, type NamedPart, partsOf } from '../train/load-weights.ts';
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
  const { family, spec } = specOfConfig('export', config);
  const parts = store.list.flatMap((parameter) => partsOf(parameter, family, spec));
  const byName = new Map(parts.map((part) => [part.name, part]));
  const layout = safetensorsHeader(
    [...byName].map(([name, part]) => ({ name, type: 'F32' as const, shape: shapeOf(part) })),
  );
  const file = new Uint8Array(layout.byteLength);
  file.set(layout.header);
  const places = new Map(layout.tensors.map((tensor) => [tensor.name, tensor]));
  for (const part of parts) {
    const values = store.read(part.parameter);
    const { offset } = places.get(part.name)!;
    eachRow(part, (from, to, { row, scale }) => {
      const own = values.slice(from, to);
      if (scale !== 1) own.forEach((value, i) => (own[i] = value / scale));
      file.set(new Uint8Array(own.buffer), offset + row * own.byteLength);
    });
  }
  return file;
}

/** The shape of a part's tensor, which may hold other parts too. */
function shapeOf({ parameter, rows, count }: NamedPart): readonly number[] {
  const { shape, order, experts } = parameter;
  const columns = rowLength(shape);
  if (order === 'transposed') return [rows, 1, columns];
  if (shape.length === 1) return [rows];
  if (experts && count === sizeOf(shape)) return [experts.count, rows / experts.count, columns];
  return [rows, columns];
}
