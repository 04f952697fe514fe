// Models on the hub that this engine can load, so that one can choose and plan before downloading anything. Only
// families that the engine runs. Adding one: an entry in known-hybrids.ts or known-transformers.ts; the parameter
// count, from the model's page, is checked against the shapes by a test.
import { HYBRIDS } from './known-hybrids.ts';
import type { KnownModel } from './known-model.ts';
import { TRANSFORMERS } from './known-transformers.ts';

export type { KnownModel };

export const KNOWN_MODELS: readonly KnownModel[] = [...HYBRIDS, ...TRANSFORMERS];
