// What MODEL means to `inspect` and `plan`: a model's layers and weights by their headers, without loading
// anything. For `plan` a configuration is enough: the name of a known model, or a config.json by itself.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Checkpoint, LayerSpec, ModelSpec, TensorEntry, TensorType } from '@marimba/engine';
import {
  allOfKind,
  type FoundWeight,
  findWeights,
  neededWeights,
  plainAttention,
  readSpec,
} from '@marimba/engine/architecture';
import { byteLengthOf, type JsonObject, parseJsonObject, TENSOR_TYPES } from '@marimba/engine/formats';
import { KNOWN_MODELS } from './known-models.ts';

export interface DescribedModel {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly weights: readonly FoundWeight[];
  /** False when only a configuration is known, and the weights' format is assumed. */
  readonly hasFiles: boolean;
  /** What was taken for values of the files that mean nothing. */
  readonly notes: readonly string[];
}

export function describeCheckpoint(checkpoint: Checkpoint): DescribedModel {
  const { family, spec, notes } = readSpec(checkpoint);
  return {
    name: checkpoint.name,
    spec,
    weights: findWeights(checkpoint, family, spec),
    hasFiles: true,
    notes,
  };
}

/**
 * A model of which only the layers are known: its matrices are taken to be BF16, as checkpoints are
 * published, or of another type where their rows are whole blocks of it.
 */
export function describeSpec(name: string, spec: ModelSpec, matrixType: TensorType = 'BF16'): DescribedModel {
  const { blockLength } = TENSOR_TYPES[matrixType];
  const weights = neededWeights(spec).map((weight): FoundWeight => {
    const fits = weight.shape.at(-1)! % blockLength === 0;
    const type: TensorType = weight.kind !== 'matrix' ? 'F32' : fits ? matrixType : 'BF16';
    return { ...weight, sources: [{ tensor: imaginaryTensor(weight.role, type, weight.shape), runs: null }] };
  });
  return { name, spec, weights, hasFiles: false, notes: [] };
}

function imaginaryTensor(name: string, type: TensorType, shape: readonly number[]): TensorEntry {
  const byteLength = byteLengthOf(
    type,
    shape.reduce((product, d) => product * d, 1),
  );
  const source = {
    name,
    byteLength,
    handle: null,
    read: () => Promise.reject(new Error(`${name}: a configuration has no weights to read`)),
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  return { name, type, shape, source, offset: 0, byteLength };
}

/** A configuration without weights, when that is what `text` names; null otherwise. */
export async function configurationOf(text: string): Promise<Checkpoint | null> {
  if (existsSync(text)) {
    if (basename(text) === 'config.json') return readConfig(text);
    const inside = join(text, 'config.json');
    return existsSync(inside) && !hasWeights(text) ? readConfig(inside) : null;
  }
  const known = KNOWN_MODELS.find(({ name }) => name === text);
  return known ? configOnly(text, known.config) : null;
}

/** A configuration as if it had been opened, without any tensors. */
export function configOnly(name: string, config: JsonObject): Checkpoint {
  return {
    kind: 'huggingface',
    name,
    config,
    generationConfig: null,
    tensors: new Map(),
    tokenizerJson: async () => null,
    tokenizerConfig: async () => null,
    chatTemplates: async () => new Map(),
    sentenceFiles: async () => null,
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

const hasWeights = (folder: string): boolean =>
  ['model.safetensors', 'model.safetensors.index.json'].some((name) => existsSync(join(folder, name)));

async function readConfig(path: string): Promise<Checkpoint> {
  return configOnly(basename(dirname(resolve(path))), parseJsonObject(path, await readFile(path)));
}

/**
 * The same size as a pure transformer: attention with the model's own heads in place of every other mixer.
 */
export function asTransformer(spec: ModelSpec): ModelSpec | null {
  const isAttention = (mixer: LayerSpec['mixers'][number]) => mixer.kind === 'attention';
  if (spec.layers.every(({ mixers }) => mixers.every(isAttention))) return null;
  const [own] = allOfKind(spec.layers, 'attention');
  const headSize = own?.headSize ?? (spec.hiddenSize % 128 === 0 ? 128 : 64);
  const heads = own?.heads ?? Math.max(1, Math.floor(spec.hiddenSize / headSize));
  const attention = own ?? plainAttention(heads, heads, headSize);
  const layers = spec.layers.map((layer) =>
    layer.mixers.every(isAttention) ? layer : { ...layer, mixers: [attention] },
  );
  return { ...spec, name: `${spec.name}, all attention`, layers };
}
