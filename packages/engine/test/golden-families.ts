// The golden models of the hybrid families (fixtures/golden-families, see its README).
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const FAMILY_MODELS = [
  'lfm2',
  'lfm2-moe',
  'qwen3.5-tied',
  'qwen3.5-untied',
  'qwen3.5-moe',
  'qwen3-next',
  'mamba2',
  'granite-h-dense',
  'granite-h-moe',
  'bamba',
  'nemotron-h',
  'nemotron-h-g2',
  'nemotron-h-moe',
  'falcon-h1',
  'falcon-h1-norm',
  'gemma3',
  'gemma3-p6',
  'olmo2',
  'olmo3',
  'granite',
  'qwen3-moe',
  'mixtral',
  'granite-swa',
] as const;
export type FamilyModel = (typeof FAMILY_MODELS)[number];

/** A model's folder, or one of its GGUF files. */
export type FamilySource = 'folder' | 'f32' | 'q8_0';

export type FamilyPrompt = 'len1' | 'len2' | 'len3' | 'len7' | 'len33' | 'len65' | 'len200';

/** What the reference implementation computed. */
export interface FamilyGolden {
  readonly prompts: Readonly<Record<FamilyPrompt, readonly number[]>>;
  readonly logits_last: Readonly<Record<FamilyPrompt, readonly number[]>>;
  /** The best token at every position. */
  readonly argmax_all: Readonly<Record<FamilyPrompt, readonly number[]>>;
  readonly greedy: Readonly<Partial<Record<FamilyPrompt, readonly number[]>>>;
  /** Mean of −log p(next token) over the prompt of 200; null for files with values of their own. */
  readonly nll: number | null;
  /** Logits at every position of the prompt of 33 [33 × vocabulary]; null as above. */
  readonly allLogits: Float32Array | null;
}

const root = new URL('../../../fixtures/golden-families/', import.meta.url);
const json = (path: string) => JSON.parse(readFileSync(new URL(path, root), 'utf8'));

export const familyPath = (name: FamilyModel, source: FamilySource = 'folder'): string =>
  fileURLToPath(new URL(source === 'folder' ? name : `gguf/${name}.${source}.gguf`, root));

export const hasFamilyFile = (name: FamilyModel, source: FamilySource): boolean =>
  existsSync(familyPath(name, source));

export function readFamilyGolden(name: FamilyModel, source: FamilySource = 'folder'): FamilyGolden {
  const { prompts, logits_last, argmax_all, greedy, nll_mean_len200: nll } = json(`${name}/golden.json`);
  const own = `gguf/${name}.${source}.golden.json`;
  if (source !== 'folder' && existsSync(new URL(own, root))) {
    const { greedy_len33, ...values } = json(own);
    const { logits_last, argmax_all } = values as FamilyGolden;
    return { prompts, logits_last, argmax_all, greedy: { len33: greedy_len33 }, nll: null, allLogits: null };
  }
  const allLogits = new Float32Array(
    new Uint8Array(readFileSync(new URL(`${name}/logits_len33.f32`, root))).buffer,
  );
  const answers = { len7: greedy.len7.tokens, len33: greedy.len33.tokens };
  return { prompts, logits_last, argmax_all, greedy: answers, nll, allLogits };
}
