// config.json → family and layer list, without a checkpoint: what is trained from nothing has no weights yet.
import type { ModelSpec } from '@marimba/engine';
import { readSpec } from '@marimba/engine/internal/architecture/families/index';
import type { Family } from '@marimba/engine/internal/architecture/family';
import type { HuggingFaceCheckpoint, JsonObject } from '@marimba/engine/internal/formats/types';

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
