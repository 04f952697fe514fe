// Identifies a model by 16 hex digits: a checksum of what its state depends on: layers, sizes and factors, its
// tensors' roles and formats, and samples of their bytes. Saved sessions carry it, so that no model ever restores
// the state of another. It is the same on every machine and backend, and changes when a model is quantised; not
// when its files name other begin or end tokens, another context length or another family.
import { crc32 } from '#platform';
import type { ModelSpec } from '../architecture/spec.ts';
import type { TensorEntry } from '../formats/types.ts';
import type { FoundWeight } from './weights.ts';

const SAMPLE_BYTES = 1024;

/** What state and logits are computed from, beside the weights. */
const computed = (spec: ModelSpec) => [
  spec.vocabularySize,
  spec.hiddenSize,
  spec.normEpsilon,
  spec.normOffset,
  spec.tiedHead,
  spec.embeddingScale,
  spec.residualScale,
  spec.logitScale,
  spec.weightScales ?? null,
  spec.layers,
];

export async function fingerprint(
  spec: ModelSpec,
  weights: readonly (FoundWeight & { placed: { layout: { type: string } } })[],
): Promise<string> {
  const text = JSON.stringify(computed(spec));
  let low = crc32(new TextEncoder().encode(text));
  let high = crc32(
    new TextEncoder().encode(weights.map((w) => `${w.layer}.${w.role}:${w.placed.layout.type}`).join()),
  );
  for (const { sources } of weights) {
    for (const { tensor } of sources) {
      const sample = await sampleOf(tensor);
      low = crc32(sample, low);
      high = crc32(sample, high ^ 0x5a5a5a5a);
    }
  }
  return [low, high].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

async function sampleOf(tensor: TensorEntry): Promise<Uint8Array> {
  const length = Math.min(SAMPLE_BYTES, tensor.byteLength);
  const sample = new Uint8Array(length);
  await tensor.source.read(tensor.offset + Math.floor((tensor.byteLength - length) / 2), sample);
  return sample;
}
