// The head of cross-encoders: rerankers that read query and document as one text, and score the state of its first
// token (BERT's pooler and classifier, RoBERTa's classifier of two layers).

import type { ModelSpec } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import type { Checkpoint, TensorEntry } from '../formats/types.ts';
import { readValues, Scratch } from '../weights/read-values.ts';
import type { DenseProjection } from './pooling.ts';

/** Layers by family: tensors of the hidden one, and of the one that gives the score. */
const LAYERS: Readonly<Record<string, readonly [hidden: string, score: string]>> = {
  bert: ['bert.pooler.dense', 'classifier'],
  roberta: ['classifier.dense', 'classifier.out_proj'],
};

/** Null for models without such a head. Those that tell several labels apart are none. */
export async function readClassifier(
  { name, tensors }: Checkpoint,
  { family, hiddenSize }: ModelSpec,
): Promise<readonly DenseProjection[] | null> {
  const [hidden, score] = LAYERS[family] ?? [];
  const labels = tensors.get(`${score}.weight`)?.shape[0];
  if (!hidden || !score || labels !== 1 || !tensors.has(`${hidden}.weight`)) return null;
  const layer = async (prefix: string, outputs: number, activation: DenseProjection['activation']) => ({
    inputs: hiddenSize,
    outputs,
    weight: await values(tensors.get(`${prefix}.weight`), [outputs, hiddenSize], `${name}: ${prefix}.weight`),
    bias: await values(tensors.get(`${prefix}.bias`), [outputs], `${name}: ${prefix}.bias`),
    activation,
  });
  return [await layer(hidden, hiddenSize, 'tanh'), await layer(score, 1, 'identity')];
}

async function values(
  tensor: TensorEntry | undefined,
  shape: readonly number[],
  what: string,
): Promise<Float32Array> {
  if (!tensor || tensor.shape.join() !== shape.join())
    throw new ModelError(
      `${what}: expected shape [${shape.join(', ')}], found ${tensor ? `[${tensor.shape.join(', ')}]` : 'no such tensor'}. ` +
        'The weights do not belong to this configuration.',
    );
  return (await readValues({ tensor, runs: null }, shape.at(-1)!, new Scratch())).slice();
}
