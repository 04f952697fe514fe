// config.json → family and layer list, without a checkpoint: what is trained from nothing has no weights yet.
import type { HuggingFaceCheckpoint } from '@marimba/engine';
import { type ReadSpec, readSpec } from '@marimba/engine/architecture';
import type { JsonObject } from '@marimba/engine/formats';

export function specOfConfig(name: string, config: JsonObject): ReadSpec {
  const none = async () => null;
  const empty: HuggingFaceCheckpoint = {
    kind: 'huggingface',
    name,
    tensors: new Map(),
    config,
    generationConfig: null,
    tokenizerJson: none,
    tokenizerConfig: none,
    chatTemplates: async () => new Map(),
    sentenceFiles: none,
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  return readSpec(empty);
}
