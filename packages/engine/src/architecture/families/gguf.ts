// What all families read the same way from GGUF files.
import type { ConfigReader } from '../../formats/config-reader.ts';
import type { GgufLayer } from '../../layers/layer.ts';
import type { TensorShapes } from '../family.ts';

export function ggufCommon(c: ConfigReader, arch: string, shapeOf: TensorShapes) {
  const vocabularySize = shapeOf('token_embd.weight')?.[0];
  if (!vocabularySize) c.fail('token_embd.weight', 'the embedding matrix', undefined);
  const ends = ['eos_token_id', 'eot_token_id', 'eom_token_id', 'eos_token_ids'].flatMap((key) =>
    c.tokens(`tokenizer.ggml.${key}`, vocabularySize),
  );
  return {
    vocabularySize,
    tiedHead: shapeOf('output.weight') === undefined,
    contextLength: c.size(`${arch}.context_length`, 4096, 2 ** 31),
    beginToken: c.tokens('tokenizer.ggml.bos_token_id', vocabularySize)[0] ?? null,
    endTokens: [...new Set(ends)],
  };
}

/** Layer `index` for the readers of layers/. Tensors of the whole model are found under their own names. */
export const ggufLayer = (
  config: ConfigReader,
  architecture: string,
  shapeOf: TensorShapes,
  index: number,
): GgufLayer => ({
  config,
  architecture,
  index,
  shapeOf: (name) => shapeOf(`blk.${index}.${name}`) ?? shapeOf(name),
});

/**
 * Which layers have the window: a list of flags, or the distance of those without; `pattern` where the file is
 * silent.
 */
export function windowsFromGguf(c: ConfigReader, arch: string, count: number, pattern: number): boolean[] {
  const field = `${arch}.attention.sliding_window_pattern`;
  const list = c.raw(field);
  if (!Array.isArray(list)) {
    const distance = c.size(field, pattern, 4096);
    return Array.from({ length: count }, (_, i) => (i + 1) % distance !== 0);
  }
  if (list.length !== count || list.some((flag) => typeof flag !== 'boolean'))
    c.fail(field, `${count} flags, one per layer`, list);
  return list as boolean[];
}
