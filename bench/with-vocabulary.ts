// A copy of a GGUF file with a vocabulary of made-up words. llama.cpp refuses to run a model whose tokenizer
// is "none", as the golden files' is; the weights and every other key stay as they are.
import { open } from 'node:fs/promises';
import type { GgufCheckpoint } from '@marimba/engine';
import { createGgufWriter, type MetadataValue, type TypedMetadataValue } from '@marimba/engine/formats';

/** Keys whose numbers are floats even when they are whole: the reader does not keep the types of values. */
const FLOAT_KEYS = /epsilon|freq_base|scale|factor/;

export async function copyWithVocabulary(
  checkpoint: GgufCheckpoint,
  vocabularySize: number,
  path: string,
): Promise<void> {
  const metadata = new Map<string, TypedMetadataValue>();
  for (const [key, value] of checkpoint.metadata)
    if (!key.startsWith('tokenizer.')) metadata.set(key, typed(key, value));
  for (const [key, value] of madeUpVocabulary(vocabularySize)) metadata.set(key, value);
  const entries = [...checkpoint.tensors.values()];
  const { header, tensors, byteLength } = createGgufWriter({ metadata, tensors: entries });
  const file = await open(path, 'w');
  try {
    await file.write(header, 0, header.byteLength, 0);
    for (const [i, { source, offset, byteLength: size }] of entries.entries()) {
      const bytes = new Uint8Array(size);
      await source.read(offset, bytes);
      await file.write(bytes, 0, size, tensors[i]!.offset);
    }
    await file.truncate(byteLength);
  } finally {
    await file.close();
  }
}

/**
 * SentencePiece-style: unknown, begin and end, the 256 bytes and words. llama.cpp looks up single bytes when
 * it loads, so where there is no room for all, the bytes come first and stand for the special tokens as well.
 */
export function madeUpVocabulary(size: number): Map<string, TypedMetadataValue> {
  const NORMAL = 1;
  const UNKNOWN = 2;
  const CONTROL = 3;
  const BYTE = 6;
  const hex = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
  const special = size >= 259 ? ['<unk>', '<s>', '</s>'] : [];
  const bytes = Array.from({ length: Math.min(256, size) }, (_, byte) => hex(byte));
  const words = Array.from(
    { length: size - special.length - bytes.length },
    (_, i) => `\u2581w${i.toString(36)}`,
  );
  const types = [
    ...special.map((_, i) => (i === 0 ? UNKNOWN : CONTROL)),
    ...bytes.map(() => BYTE),
    ...words.map(() => NORMAL),
  ];
  return new Map<string, TypedMetadataValue>([
    ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
    ['tokenizer.ggml.tokens', { type: 'array', of: 'string', value: [...special, ...bytes, ...words] }],
    ['tokenizer.ggml.scores', { type: 'array', of: 'f32', value: types.map((_, i) => -i) }],
    ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: types }],
    ['tokenizer.ggml.bos_token_id', { type: 'u32', value: 1 }],
    ['tokenizer.ggml.eos_token_id', { type: 'u32', value: 2 }],
    ['tokenizer.ggml.unknown_token_id', { type: 'u32', value: 0 }],
  ]);
}

function typed(key: string, value: MetadataValue): TypedMetadataValue {
  if (typeof value === 'string') return { type: 'string', value };
  if (typeof value === 'boolean') return { type: 'bool', value };
  if (typeof value === 'bigint') return { type: 'u64', value };
  if (typeof value === 'number')
    return { type: FLOAT_KEYS.test(key) || !Number.isInteger(value) ? 'f32' : 'u32', value };
  if (value.every((item) => typeof item === 'number')) return { type: 'array', of: 'i32', value };
  if (value.every((item) => typeof item === 'string')) return { type: 'array', of: 'string', value };
  throw new Error(`metadata key ${key}: expected a list of numbers or strings`);
}
