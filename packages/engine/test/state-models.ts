// The models that tests of sessions run on: Jamba's kinds in all their shapes, and of the other families one
// for each kind of carried state.
import { GOLDEN_MODELS, modelFolder, readGolden } from './golden.ts';
import { type FamilyModel, familyPath, readFamilyGolden } from './golden-families.ts';

export interface StateModel {
  readonly name: string;
  readonly folder: string;
  readonly prompts: { readonly len33: readonly number[]; readonly len200: readonly number[] };
}

/** One for each kind of carried state of the other families. */
const KINDS: readonly FamilyModel[] = [
  'lfm2-moe', // short convolutions
  'qwen3.5-untied', // the delta rule
  'granite-h-moe', // Mamba-2
  'nemotron-h', // Mamba-2 in layers of one part, with groups of experts
  'falcon-h1-norm', // Mamba-2 and attention side by side, with two groups
  'gemma3', // windows between full attention
];

export const FAMILY_STATE_MODELS: readonly StateModel[] = KINDS.map((name) => ({
  name,
  folder: familyPath(name),
  prompts: readFamilyGolden(name).prompts,
}));

export const STATE_MODELS: readonly StateModel[] = [
  ...GOLDEN_MODELS.map((name) => ({ name, folder: modelFolder(name), prompts: readGolden(name).prompts })),
  ...FAMILY_STATE_MODELS,
];
