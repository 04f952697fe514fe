// Writes a trained model where others can read it: a Hugging Face folder for transformers and this engine, and a GGUF file
// for llama.cpp. Both hold f32; quantise with `marimba quantize`.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ModelSpec, UsageError } from '@marimba/engine';
import { type JsonObject, safetensorsHeader } from '@marimba/engine/formats';
import { writeWhole } from '../data/token-file.ts';
import { partsOf } from '../train/load-weights.ts';
import { specOfConfig } from '../train/model-config.ts';
import type { ParameterStore } from '../train/parameters.ts';
import { type Expression, express, ggufProblem } from './express.ts';
import { ggufFile } from './gguf.ts';
import type { ExportedText } from './text.ts';

export interface ExportOptions {
  readonly name?: string;
  readonly text?: ExportedText;
}

/** Writes config.json, model.safetensors and the tokenizer; returns how the model was expressed. */
export async function exportHuggingFace(
  store: ParameterStore,
  spec: ModelSpec,
  config: JsonObject,
  folder: string,
  options: ExportOptions = {},
): Promise<Expression> {
  const expression = express(spec, config);
  await mkdir(folder, { recursive: true });
  await writeWhole(join(folder, 'model.safetensors'), safetensorsFile(store, expression.config));
  if (options.text) {
    await writeWhole(join(folder, 'tokenizer.json'), options.text.tokenizerJson);
    await writeWhole(join(folder, 'tokenizer_config.json'), options.text.tokenizerConfig);
  }
  await writeWhole(join(folder, 'config.json'), `${JSON.stringify(expression.config, null, 2)}\n`);
  return expression;
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

/** Throws UsageError when no architecture of llama.cpp can hold the model. */
export async function exportGguf(
  store: ParameterStore,
  spec: ModelSpec,
  config: JsonObject,
  path: string,
  options: ExportOptions = {},
): Promise<void> {
  const expression = express(spec, config);
  if (!expression.architecture)
    throw new UsageError(
      `GGUF: expected a layer list that Jamba, Mamba or Llama can express, found another one: ${expression.reasons.join('; ')}`,
    );
  const { spec: expressed } = specOfConfig('export', expression.config);
  const problem = ggufProblem(expressed);
  if (problem)
    throw new UsageError(
      `GGUF: expected a model that llama.cpp can run, found one that it cannot: ${problem}. Export a Hugging Face folder instead.`,
    );
  await writeWhole(path, ggufFile(store, expressed, options.name ?? 'marimba', options.text ?? null));
}
