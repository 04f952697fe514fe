// Identifies a model by 16 hex digits: a checksum of its layers and sizes, its tensors' roles and formats,
// and samples of their bytes. Saved sessions carry it, so that no model ever restores the state of another.
// It is the same on every machine and backend, and changes when a model is quantised.
import { crc32 } from '#platform';
import type { ModelSpec } from '../architecture/spec.ts';
import type { Checkpoint, TensorEntry } from '../formats/types.ts';
import type { FoundWeight } from './weights.ts';

const SAMPLE_BYTES = 1024;

export async function fingerprint(
  checkpoint: Checkpoint,
  spec: ModelSpec,
  weights: readonly (FoundWeight & { placed: { layout: { type: string } } })[],
): Promise<string> {
  const text = JSON.stringify({ ...spec, name: '', layers: spec.layers, kind: checkpoint.kind });
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
