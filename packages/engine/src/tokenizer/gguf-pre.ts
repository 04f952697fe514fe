// How byte-level vocabularies in GGUF files split words: the file only holds a name (`tokenizer.ggml.pre`),
// the expressions are part of the runtime. Sources: the tokenizer.json of each family, and llama.cpp's
// src/llama-vocab.cpp for the names and for which families put the first token in front by default.

import { gpt2Pattern } from './pre-tokenizer.ts';

export interface PreKind {
  /** Applied one after the other, each isolating its matches. */
  readonly patterns: readonly string[];
  readonly ignoreMerges: boolean;
  readonly addBos: boolean;
  readonly normalization: 'NFC' | null;
}

const plain: Omit<PreKind, 'patterns'> = { ignoreMerges: false, addBos: false, normalization: null };
const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
/** `letter`: what a word consists of, as the inside of a class. */
const wordsAndRest = (digits: string, letter = '\\p{L}') =>
  `${contractions}|[^\\r\\n\\p{L}\\p{N}]?[${letter}]+|${digits}| ?[^\\s${letter}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const upper = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const casedWords = (suffix: string, digits: string) =>
  `[^\\r\\n\\p{L}\\p{N}]?${upper}*${lower}+${suffix}|[^\\r\\n\\p{L}\\p{N}]?${upper}+${lower}*${suffix}|${digits}|` +
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

const gpt2: PreKind = { ...plain, patterns: [gpt2Pattern] };
const llama3: PreKind = {
  ...plain,
  patterns: [wordsAndRest('\\p{N}{1,3}')],
  ignoreMerges: true,
  addBos: true,
};
const qwen2: PreKind = { ...plain, patterns: [wordsAndRest('\\p{N}')], normalization: 'NFC' };
/** Marks stay with their letters. */
const qwen35: PreKind = { ...qwen2, patterns: [wordsAndRest('\\p{N}', '\\p{L}\\p{M}')] };
const starcoder: PreKind = { ...plain, patterns: ['\\p{N}', gpt2Pattern] };
const deepseekCoder: PreKind = {
  ...plain,
  patterns: ['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', '[一-龥ࠀ-一가-퟿]+', '\\p{N}'],
};
const deepseek3: PreKind = {
  ...plain,
  patterns: [
    '\\p{N}{1,3}',
    '[一-龥぀-ゟ゠-ヿ]+',
    '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|' +
      ' ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  ],
};
const falcon: PreKind = {
  ...plain,
  patterns: ['[\\p{P}\\$\\+<=>\\^~\\|`]+', gpt2Pattern, '[0-9][0-9][0-9]'],
};
const tekken: PreKind = { ...plain, patterns: [casedWords('', '\\p{N}')], ignoreMerges: true };
const gpt4o: PreKind = { ...plain, patterns: [casedWords(`${contractions}?`, '\\p{N}{1,3}')] };

/** llama.cpp's choice for files that name none. */
const unnamed: PreKind = {
  ...plain,
  patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', gpt2Pattern, '\\p{N}+', '[0-9][0-9][0-9]'],
};

const kinds: ReadonlyMap<string, PreKind> = new Map([
  ...['gpt-2', 'phi-2', 'jina-es', 'jina-de', 'gigachat', 'mpt', 'olmo', 'jais', 'trillion'].map(
    (name) => [name, gpt2] as const,
  ),
  ...['llama3', 'llama-v3', 'llama-bpe', 'falcon3', 'falcon-h1', 'pixtral', 'lfm2'].map(
    (name) => [name, llama3] as const,
  ),
  ...['dbrx', 'smaug-bpe', 'chatglm-bpe', 'glm4'].map(
    (name) => [name, { ...llama3, ignoreMerges: false, addBos: false }] as const,
  ),
  ...['qwen2', 'stablelm2', 'deepseek-r1-qwen', 'megrez', 'hunyuan'].map((name) => [name, qwen2] as const),
  ...['starcoder', 'refact', 'command-r', 'smollm', 'codeshell', 'exaone', 'minerva-7b'].map(
    (name) => [name, starcoder] as const,
  ),
  ['qwen35', qwen35],
  ['deepseek-coder', deepseekCoder],
  ['deepseek-v3', deepseek3],
  ['falcon', falcon],
  ['tekken', tekken],
  ['gpt-4o', gpt4o],
  ['llama4', gpt4o],
  ['default', unnamed],
]);

/** The kind of that name; for an unknown one the default, with a note for the reader. */
export function preKind(name: string | null): { kind: PreKind; note: string | null } {
  const known = kinds.get(name ?? 'default');
  if (known !== undefined && name !== null) return { kind: known, note: null };
  const shown =
    name === null
      ? 'no word splitting (tokenizer.ggml.pre)'
      : `the unknown word splitting ${JSON.stringify(name.slice(0, 60))}`;
  return {
    kind: known ?? unnamed,
    note: `the file names ${shown}; the default is used, and some words may be split differently than in training`,
  };
}
