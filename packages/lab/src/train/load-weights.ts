// Reads the weights of a Hugging Face folder into a parameter store, and knows what each part of a parameter
// is called there.
import { type HuggingFaceCheckpoint, ModelError, type ModelSpec } from '@marimba/engine';
import { type Family, findWeights, sizeOf, withLayer } from '@marimba/engine/architecture';
import { dequantize } from '@marimba/engine/formats';
import type { Parameter, ParameterStore } from './parameters.ts';

/** One tensor of a checkpoint: a parameter, or one expert of it. */
export interface NamedPart {
  readonly name: string;
  readonly parameter: Parameter;
  /** Range of the parameter's values in checkpoint order. */
  readonly start: number;
  readonly count: number;
}

/** Fills the store; returns the checkpoint's names for its parts. */
export async function loadParameters(
  checkpoint: HuggingFaceCheckpoint,
  family: Family,
  spec: ModelSpec,
  store: ParameterStore,
): Promise<NamedPart[]> {
  const found = new Map(
    findWeights(checkpoint, family, spec).map((weight) => [`${weight.layer}.${weight.role}`, weight.tensors]),
  );
  const parts: NamedPart[] = [];
  for (const parameter of store.list) {
    const tensors = found.get(`${parameter.layer}.${parameter.role}`) ?? [];
    const values = new Float32Array(sizeOf(parameter.shape));
    const count = values.length / tensors.length;
    for (const [i, tensor] of tensors.entries()) {
      const raw = new Uint8Array(tensor.byteLength);
      await tensor.source.read(tensor.offset, raw);
      dequantize(tensor.type, raw, values, i * count);
      parts.push({ name: tensor.name, parameter, start: i * count, count });
    }
    if (!values.every(Number.isFinite))
      throw new ModelError(
        `${checkpoint.name}: tensor ${tensors[0]?.name}: expected finite weights to train from, found NaN or infinity.`,
      );
    store.write(parameter, values);
  }
  return parts;
}

/** The names that the family's checkpoints give a parameter's parts. */
export function partsOf(parameter: Parameter, family: Family): NamedPart[] {
  const name = family.huggingFaceNames[parameter.role]?.[0];
  if (!name)
    throw new ModelError(`${family.name}: expected a name for the weight ${parameter.role}, found none`);
  const full = withLayer(name, parameter.layer);
  const size = sizeOf(parameter.shape);
  if (!/\bE\b/.test(full)) return [{ name: full, parameter, start: 0, count: size }];
  const experts = parameter.shape[0]!;
  return Array.from({ length: experts }, (_, e) => ({
    name: full.replace(/\bE\b/, `${e}`),
    parameter,
    start: (e * size) / experts,
    count: size / experts,
  }));
}
