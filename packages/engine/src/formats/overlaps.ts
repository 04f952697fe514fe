// Tensors of one file must not share bytes: a file where they do was made by a broken or hostile writer.

import { FormatError } from '../errors.ts';
import { quoted } from './gguf-types.ts';
import type { TensorEntry } from './types.ts';

export function checkOverlaps(fileName: string, tensors: readonly TensorEntry[]): void {
  const byOffset = [...tensors].sort((a, b) => a.offset - b.offset);
  let previous: TensorEntry | undefined;
  for (const tensor of byOffset) {
    if (previous !== undefined && previous.offset + previous.byteLength > tensor.offset) {
      throw new FormatError(
        `${fileName}: tensor ${quoted(tensor.name)}: expected data of its own, found that it starts at ${tensor.offset}, ` +
          `inside tensor ${quoted(previous.name)}. The file is damaged; fetch it again.`,
      );
    }
    if (tensor.byteLength > 0) previous = tensor;
  }
}
