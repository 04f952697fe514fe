// GGUF files may have, beside a tensor NAME.weight, what its values are multiplied by: NAME.scale, one float32, or one for
// each expert. Files of NVFP4 do, whose own scales have a range of 2^18 (llama.cpp, src/llama-model.cpp: per-tensor
// ".scale" tensors).

import { FormatError } from '../errors.ts';
import type { TensorEntry } from './types.ts';

/** The tensors, with the scales that stand beside them. Throws FormatError for scales that fit no tensor of theirs. */
export async function withScales(
  tensors: ReadonlyMap<string, TensorEntry>,
): Promise<Map<string, TensorEntry>> {
  const scaled = new Map(tensors);
  for (const [name, tensor] of tensors) {
    const beside = name.endsWith('.weight') ? tensors.get(name.replace(/weight$/, 'scale')) : undefined;
    if (!beside || tensor.shape.length < 2) continue;
    const scales = await readScales(beside, tensor);
    if (scales.some((scale) => scale !== 1)) scaled.set(name, { ...tensor, scales });
  }
  return scaled;
}

async function readScales(beside: TensorEntry, { name, shape }: TensorEntry): Promise<number[]> {
  const count = beside.byteLength / 4;
  const fail = (expected: string, found: string): never => {
    throw new FormatError(
      `${beside.source.name}: tensor ${JSON.stringify(beside.name)}: expected ${expected}, found ${found}. ` +
        `It says what ${name} is multiplied by; convert the model again.`,
    );
  };
  const matrices = shape.length > 2 ? shape[0]! : 1;
  if (beside.type !== 'F32' || (count !== 1 && count !== matrices))
    return fail(
      `${matrices === 1 ? 'one number' : `one number, or ${matrices}`} in F32`,
      `${beside.shape} in ${beside.type}`,
    );
  const bytes = new Uint8Array(beside.byteLength);
  await beside.source.read(beside.offset, bytes);
  const view = new DataView(bytes.buffer);
  const scales = Array.from({ length: count }, (_, i) => view.getFloat32(4 * i, true));
  const odd = scales.find((scale) => !Number.isFinite(scale));
  return odd === undefined ? scales : fail('finite numbers', `${odd}`);
}
