// config.json → family and layer list, without a checkpoint: what is trained from nothing has no weights yet.
import type { HuggingFaceCheckpoint, ModelSpec } from '@marimba/engine';
import { type Family, readSpec } from '@marimba/engine/architecture';
import type { JsonObject } from '@marimba/engine/formats';

export function specOfConfig(name: string, config: JsonObject): { family: Family; spec: ModelSpec } {
  const none = async () => null;
  const empty: HuggingFaceCheckpoint = {
    kind: 'huggingface',
    name,
    tensors: new Map(),
    config,
    generationConfig: null,
    tokenizerJson: none,
    tokenizerConfig: none,
    chatTemplate: none,
    close: async () => {},
  };
  return readSpec(empty);
}
