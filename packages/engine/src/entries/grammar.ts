// @marimba/engine/grammar: languages that output is held to, by themselves: compiled, tested with texts,
// sampled. For the workspace's own packages: any release may change it. Applications use '@marimba/engine'.

export {
  checkText,
  type MaskTimer,
  sampleText,
  type TextVerdict,
} from '../grammar/check.ts';
export { Masks } from '../grammar/mask/masks.ts';
export { GrammarVocabulary } from '../grammar/mask/vocabulary.ts';
export { type CompiledOutput, compileOutput, type OutputFormat } from '../grammar/output.ts';
export { readTokenizer } from '../model/text-side.ts';
