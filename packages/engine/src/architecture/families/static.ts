// Static embeddings in model2vec's form (Tulkens & van Dongen 2024): a vector for each token and nothing else, so
// that a text is the mean of its tokens' vectors. A model without layers.
import type { ConfigReader } from '../../formats/config-reader.ts';
import type { Family, TensorShapes } from '../family.ts';
import type { ModelSpec } from '../spec.ts';
import { ENCODER } from './encoder.ts';

/** Where texts are cut, unless the configuration says another length (model2vec's own default). */
const LONGEST_TEXT = 512;

function fromHuggingFace(c: ConfigReader, shapeOf?: TensorShapes): ModelSpec {
  // Vectors that several tokens share, with a weight for each token.
  c.refuse({ vocabulary_quantization: [] });
  const [vocabularySize, hiddenSize] = shapeOf?.('embeddings') ?? [];
  if (!vocabularySize || !hiddenSize) c.fail('embeddings', 'a tensor of one vector per token', undefined);
  return {
    ...ENCODER,
    family: 'static',
    name: c.text('model_type', ['model2vec']),
    vocabularySize,
    hiddenSize,
    normEpsilon: 0,
    encoder: { positions: 0, tokenTypes: 0, embeddingNorm: false, finalNorm: false },
    contextLength: c.size('max_length', LONGEST_TEXT, 2 ** 20),
    layers: [],
  };
}

export const staticTable: Family = {
  name: 'static',
  huggingFaceTypes: ['model2vec'],
  fromHuggingFace,
  fromGguf: (c, arch) => c.fail('general.architecture', 'a folder of safetensors for model2vec', arch),
  gguf: [],
  huggingFaceNames: { embedding: ['embeddings'] },
};
