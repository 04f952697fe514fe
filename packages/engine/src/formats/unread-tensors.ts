// Tensors whose format is not read are passed over as files are opened, since nobody may need them (masks,
// position numbers). One that is needed is refused here, by its format.

import { ModelError } from '../errors.ts';
import { isJsonObject } from './json.ts';
import { TENSOR_TYPE_NAMES } from './tensor-types.ts';
import type { Checkpoint } from './types.ts';

/** Throws ModelError when the checkpoint has a tensor of this name in a format that is not read. */
export function refuseUnread(checkpoint: Checkpoint, tensor: string): void {
  const { kind, name: file, unreadTensors } = checkpoint;
  const type = unreadTensors?.get(tensor);
  if (type === undefined) return;
  const [readable, remedy] =
    kind === 'gguf'
      ? [`a type among ${TENSOR_TYPE_NAMES.join(', ')}`, 'Use a file quantised to one of these.']
      : ['a dtype of F32, F16 or BF16', 'Take the original model, or a GGUF file of it.'];
  throw new ModelError(
    `${file}: tensor ${tensor}: expected ${readable}, found ${type}${quantization(checkpoint)}. ${remedy}`,
  );
}

/** Who made the format, where the configuration says so. */
function quantization(checkpoint: Checkpoint): string {
  if (checkpoint.kind !== 'huggingface') return '';
  const { quantization_config: config } = checkpoint.config;
  const method = isJsonObject(config) ? config.quant_method : undefined;
  return typeof method === 'string' ? ` (quantisation ${JSON.stringify(method.slice(0, 60))})` : '';
}
