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

/** Threes, counted from the right. */
const DIGITS_FROM_THE_RIGHT = '\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))';
/** Cased letters, as the expression of DeepSeek LLM lists them. */
// biome-ignore format: one list
const CASED =
  'A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370' +
  '-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-' +
  '\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-' +
  '\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-' +
  '\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4' +
  '\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a' +
  '-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-' +
  '\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-' +
  '\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-' +
  '\uff3a\uff41-\uff5a\u{10400}-\u{1044f}\u{104b0}-\u{104d3}\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}' +
  '\u{10cc0}-\u{10cf2}\u{118a0}-\u{118df}\u{1e900}-\u{1e943}';
const deepseekLlm: PreKind = {
  ...plain,
  patterns: [
    '[\\r\\n]',
    `\\s?[${CASED}]+`,
    '\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+',
    '\\s+$',
    '[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+',
    '\\p{N}+',
  ],
};
const asciiPunctuation = '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]';
const afmoe: PreKind = {
  ...plain,
  patterns: [
    DIGITS_FROM_THE_RIGHT,
    '[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf' +
      '\u0e40-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff]+',
    `${asciiPunctuation}[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|` +
      ' ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  ],
};
/** BLOOM's words: everything between spaces and marks of punctuation. */
const bloomWords = ' ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+';
const tinyAya: PreKind = {
  ...plain,
  patterns: [DIGITS_FROM_THE_RIGHT, casedWords(`${contractions}?`, '\\p{N}{1,3}')],
};
const seedCoder: PreKind = {
  ...plain,
  patterns: [
    `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  ],
};
const bailing: PreKind = {
  ...plain,
  patterns: [
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
  ],
};
const exaoneMoe: PreKind = {
  ...plain,
  patterns: [
    `${contractions}|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|` +
      '\\s*[\\r\\n]|\\s+(?!\\S)|\\s+',
  ],
};
const youtu: PreKind = {
  ...plain,
  patterns: [
    '[\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+|' +
      '[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+',
    casedWords(`${contractions}?`, '\\p{N}'),
  ],
  ignoreMerges: true,
};
const jais2: PreKind = {
  ...plain,
  patterns: [
    `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|` +
      '\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|' +
      '\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}',
  ],
};
const spark: PreKind = {
  ...plain,
  patterns: [
    '\\p{N}{1,3}',
    '[一-龥぀-ゟ゠-ヿ]+',
    `${asciiPunctuation}[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|` +
      ' ?[\\p{P}\\p{S}]+|[\\r\\n]|\\s+(?!\\S)|\\s+',
    '\\p{N}',
  ],
};
const ufakzeka: PreKind = {
  ...plain,
  patterns: [
    '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  ],
};
const chameleon: PreKind = {
  ...plain,
  patterns: [
    '<sentinel:[0-9]+>',
    '(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z',
    '([\\t\\n]|    |  )',
    '\\p{N}',
    '[\\p{P}!-/:-@\\[-`{-~]',
    gpt2Pattern,
  ],
  addBos: true,
};

/** llama.cpp's choice for files that name none. */
const unnamed: PreKind = {
  ...plain,
  patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', gpt2Pattern, '\\p{N}+', '[0-9][0-9][0-9]'],
};

const withoutNfc = { ...qwen2, normalization: null };

/** By the names that llama.cpp gives them. */
// biome-ignore format: one line for each kind
const named: readonly (readonly [PreKind, readonly string[]])[] = [
  [gpt2, ['gpt-2', 'phi-2', 'jina-es', 'jina-de', 'jina-v2-es', 'jina-v2-de', 'jina-v1-en', 'jina-v2-code', 'roberta-bpe',
    'gigachat', 'mpt', 'olmo', 'jais', 'trillion', 'a.x-4.0', 'mellum', 'modern-bert', 'exaone4', 'granite-docling']],
  [llama3, ['llama3', 'llama-v3', 'llama-bpe', 'falcon3', 'falcon-h1', 'pixtral', 'lfm2', 'midm-2.0', 'jina-v5-nano']],
  [{ ...llama3, ignoreMerges: false, addBos: false }, ['dbrx', 'smaug-bpe', 'chatglm-bpe', 'glm4']],
  [qwen2, ['qwen2', 'stablelm2', 'deepseek-r1-qwen', 'megrez', 'hunyuan', 'f2llmv2']],
  [withoutNfc, ['kormo', 'grok-2', 'solar-open']],
  [{ ...withoutNfc, patterns: ['[^\\n]+|[\\n]+', ...qwen2.patterns] }, ['laguna']],
  [qwen35, ['qwen35']],
  [starcoder, ['starcoder', 'refact', 'command-r', 'smollm', 'codeshell', 'exaone', 'minerva-7b', 'mellum2']],
  [deepseekLlm, ['deepseek-llm']],
  [deepseekCoder, ['deepseek-coder']],
  [deepseek3, ['deepseek-v3', 'hunyuan-dense', 'joyai-llm', 'hy_v4']],
  [spark, ['spark2_5']],
  [falcon, ['falcon']],
  [tekken, ['tekken']],
  [gpt4o, ['gpt-4o', 'llama4', 'kanana2', 'talkie', 'minimax-m2']],
  [tinyAya, ['tiny_aya', 'cohere2moe']],
  [afmoe, ['afmoe']],
  [youtu, ['youtu']],
  [seedCoder, ['seed-coder']],
  [bailing, ['bailingmoe', 'bailingmoe2', 'llada-moe']],
  [exaoneMoe, ['exaone-moe']],
  [jais2, ['jais-2']],
  [ufakzeka, ['ufakzeka']],
  [chameleon, ['chameleon']],
  [{ ...plain, patterns: [bloomWords] }, ['bloom', 'poro-chat', 'gpt3-finnish']],
  [{ ...plain, patterns: [bloomWords, '\\p{N}'] }, ['viking']],
  [{ ...plain, patterns: [DIGITS_FROM_THE_RIGHT] }, ['superbpe']],
  [{ ...plain, patterns: ['\\p{N}{1,3}', wordsAndRest('\\p{N}+')], ignoreMerges: true }, ['minicpm5']],
  [unnamed, ['default']],
];

const kinds: ReadonlyMap<string, PreKind> = new Map(
  named.flatMap(([kind, names]) => names.map((name) => [name, kind] as const)),
);

/** The kind of that name; for an unknown one the default, with a note for the reader. */
export function preKind(name: string | null): { kind: PreKind; note: string | null } {
  const known = kinds.get(name || 'default');
  if (known !== undefined && name) return { kind: known, note: null };
  const shown = !name
    ? 'no word splitting (tokenizer.ggml.pre)'
    : `the unknown word splitting ${JSON.stringify(name.slice(0, 60))}`;
  return {
    kind: known ?? unnamed,
    note: `the file names ${shown}; the default is used, and some words may be split differently than in training`,
  };
}
