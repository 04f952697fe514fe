// What many families read the same way from config.json.
import type { ConfigReader } from '../../formats/config-reader.ts';
import type { RopeScaling, RopeSpec } from '../../layers/rope.ts';

/** Sizes and tokens of the model; `otherwise` holds for fields that a file leaves out. */
export function huggingFaceCommon(
  c: ConfigReader,
  otherwise: { readonly tiedHead: boolean; readonly contextLength: number },
) {
  const vocabularySize = c.size('vocab_size');
  return {
    vocabularySize,
    hiddenSize: c.size('hidden_size'),
    tiedHead: c.flag('tie_word_embeddings', otherwise.tiedHead),
    contextLength: c.size('max_position_embeddings', otherwise.contextLength, 2 ** 31),
    beginToken: c.tokens('bos_token_id', vocabularySize)[0] ?? null,
    endTokens: c.tokens('eos_token_id', vocabularySize),
  };
}

/** Numbers of heads, and their size where it does not follow from the hidden size. */
export function readHeads(c: ConfigReader) {
  const hiddenSize = c.size('hidden_size');
  const heads = c.size('num_attention_heads');
  const kvHeads = c.size('num_key_value_heads', heads);
  if (heads % kvHeads) c.fail('num_key_value_heads', `a divisor of num_attention_heads ${heads}`, kvHeads);
  if (!c.has('head_dim') && hiddenSize % heads)
    c.fail('num_attention_heads', `a divisor of hidden_size ${hiddenSize}`, heads);
  return { heads, kvHeads, headSize: c.size('head_dim', Math.floor(hiddenSize / heads), 4096) };
}

/** Rotary positions of whole heads: `rope_theta` and `rope_scaling`, or both in one `rope_parameters`. */
export function readRope(c: ConfigReader, headSize: number, theta = 10_000): RopeSpec {
  if (headSize % 2) c.fail('head_dim', 'an even number (RoPE rotates halves)', headSize);
  const parameters = c.object('rope_parameters');
  return {
    theta: (parameters ?? c).number('rope_theta', 1, 1e12, theta),
    rotary: headSize,
    scaling: readRopeScaling(parameters ?? c.object('rope_scaling')),
  };
}

/** Refuses kinds of scaling that are not understood, by name. */
export function readRopeScaling(scaling: ConfigReader | null): RopeScaling | null {
  if (!scaling) return null;
  const field = scaling.has('rope_type') ? 'rope_type' : 'type';
  const kind = scaling.text(field, ['default', 'linear', 'llama3']);
  if (kind === 'default') return null;
  const factor = scaling.number('factor', 1e-3, 1e6);
  if (kind === 'linear') return { kind, factor };
  return {
    kind,
    factor,
    lowFrequencyFactor: scaling.number('low_freq_factor', 1e-3, 1e6),
    highFrequencyFactor: scaling.number('high_freq_factor', 1e-3, 1e6),
    originalContextLength: scaling.size('original_max_position_embeddings', undefined, 2 ** 31),
  };
}

/** One entry of `layer_types` for each layer; null where the file has no list. */
export function readLayerTypes<T extends string>(
  c: ConfigReader,
  count: number,
  known: readonly T[],
): T[] | null {
  const types = c.raw('layer_types');
  if (types === undefined || types === null) return null;
  if (!Array.isArray(types) || types.length !== count)
    c.fail('layer_types', `a list of ${count} entries, one per layer`, types);
  return types.map((type: unknown) => {
    const found = known.find((one) => one === type);
    if (found === undefined) c.fail('layer_types', `entries among ${known.join(', ')}`, type);
    return found;
  });
}
