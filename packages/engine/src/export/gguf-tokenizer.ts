// Translates tokenizer.json to `tokenizer.ggml.*` metadata. GGUF does not describe how text is split: it
// names a family whose splitting the runtime knows. As in llama.cpp's converter, the name is found by trial:
// it must cut a probe text into the same words, and a tokenizer read back from the metadata must give the
// same tokens.
// Keys: ggml's docs/gguf.md ("Tokenizer").

import type { ModelSpec } from '../architecture/spec.ts';
import { FormatError } from '../errors.ts';
import { flag, type MetadataValue, text, u32 } from '../formats/gguf-values.ts';
import type { JsonObject } from '../formats/types.ts';
import { tokenizerFromGguf } from '../tokenizer/from-gguf.ts';
import { tokenizerFromJson } from '../tokenizer/from-json.ts';
import { preKind } from '../tokenizer/gguf-pre.ts';
import { asObject, type Fields, field, Place } from '../tokenizer/json-fields.ts';
import { chain, parsePreTokenizer, splitBy } from '../tokenizer/pre-tokenizer.ts';
import { translateRegex } from '../tokenizer/regex.ts';
import type { Tokenizer } from '../tokenizer/types.ts';
import { readAddedTokens, readVocabulary } from '../tokenizer/vocabulary.ts';
import type { Metadata } from './gguf-metadata.ts';

/** llama.h, `enum llama_token_type`. */
const TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** One name per way of splitting that gguf-pre.ts knows, common ones first. */
const PRE_NAMES = [
  'gpt-2',
  'llama-bpe',
  'qwen2',
  'qwen35',
  'smollm',
  'tekken',
  'gpt-4o',
  'dbrx',
  'deepseek-v3',
  'deepseek-coder',
  'falcon',
  'default',
];

const PROBE =
  "Hello, world! I'm sure they'LL've 12345 things—on 3.14159 pages\n\n\t  and   SOME camelCase_words (x2): naïve café, " +
  'Größe, cafe\u0301, привет, 日本語のテキスト 你好， 한국어, नमस्ते, مرحبا 🚀🚀 👩‍👩‍👧 <div class="a">if (a!=b) { return -1; }</div>\r\n end  ';

/** The tokenizer's files of a Hugging Face folder; null for those that it lacks. */
export interface TokenizerFiles {
  readonly json: JsonObject | null;
  readonly config: JsonObject | null;
  /** By name; empty for a model without one. */
  readonly chatTemplates: ReadonlyMap<string, string>;
}

/** `name`: of the model, for messages. What was left out or approximated is said in `notes`. */
export function tokenizerMetadata(
  { json, config, chatTemplates }: TokenizerFiles,
  spec: ModelSpec,
  name: string,
): { metadata: Metadata; notes: string[] } {
  if (!json) return none('the model has no tokenizer.json: the file gets no tokenizer');
  const file = `${name}/tokenizer.json`;
  const tokenizer = tokenizerFromJson(json, config, file);
  const model = asObject(field(json, 'model'), new Place(file).at('model'));
  if (!Array.isArray(field(model, 'merges')))
    return none('the tokenizer is not BPE, the only kind that is translated: the file gets no tokenizer');
  const byteLevel = JSON.stringify([json.pre_tokenizer, json.decoder, json.normalizer]).includes(
    '"ByteLevel"',
  );
  const metadata = vocabularyMetadata(json, model, byteLevel, spec, new Place(file));
  specialTokens(metadata, tokenizer, spec);
  for (const [template, source] of chatTemplates)
    metadata.set(`tokenizer.chat_template${template === 'default' ? '' : `.${template}`}`, text(source));
  const note = byteLevel ? findPre(metadata, tokenizer, json) : findSpacePrefix(metadata, tokenizer);
  return { metadata, notes: note === null ? [] : [note] };
}

const none = (note: string) => ({
  metadata: new Map([['tokenizer.ggml.model', text('none')]]) as Metadata,
  notes: [note],
});

function vocabularyMetadata(
  json: JsonObject,
  model: Fields,
  byteLevel: boolean,
  spec: ModelSpec,
  place: Place,
): Metadata {
  const vocabulary = readVocabulary(field(model, 'vocab'), place.at('model').at('vocab'));
  const added = new Map(
    readAddedTokens(json.added_tokens, vocabulary, place.at('added_tokens')).map((token) => [
      token.id,
      token,
    ]),
  );
  const merges = mergeTexts(field(model, 'merges'), place);
  const unknown = typeof model.unk_token === 'string' ? vocabulary.ids.get(model.unk_token) : undefined;
  const typeOf = (id: number, entry: string | undefined) => {
    if (entry === undefined) return TYPE.unused;
    const special = added.get(id);
    if (id === unknown && !byteLevel) return TYPE.unknown;
    if (special) return special.special ? TYPE.control : TYPE.userDefined;
    return !byteLevel && /^<0x[0-9A-F]{2}>$/.test(entry) ? TYPE.byte : TYPE.normal;
  };
  const ids = Array.from({ length: spec.vocabularySize }, (_, id) => id);
  const metadata: Metadata = new Map([
    ['tokenizer.ggml.model', text(byteLevel ? 'gpt2' : 'llama')],
    [
      'tokenizer.ggml.tokens',
      { type: 'array', of: 'string', value: ids.map((id) => vocabulary.texts[id] ?? `[PAD${id}]`) },
    ],
    [
      'tokenizer.ggml.token_type',
      { type: 'array', of: 'i32', value: ids.map((id) => typeOf(id, vocabulary.texts[id])) },
    ],
    // llama.cpp merges SentencePiece vocabularies by score and ignores merges; this engine prefers merges.
    ['tokenizer.ggml.merges', { type: 'array', of: 'string', value: merges.map((pair) => pair.join(' ')) }],
  ]);
  if (!byteLevel)
    metadata.set('tokenizer.ggml.scores', {
      type: 'array',
      of: 'f32',
      value: scoresOf(merges, vocabulary.ids, spec.vocabularySize),
    });
  if (typeof unknown === 'number') metadata.set('tokenizer.ggml.unknown_token_id', u32(unknown));
  return metadata;
}

function mergeTexts(value: unknown, place: Place): [string, string][] {
  const at = place.at('model').at('merges');
  if (!Array.isArray(value)) throw at.expected('a list', value);
  return value.map((entry: unknown, i) => {
    const pair = typeof entry === 'string' ? entry.split(' ') : entry;
    if (
      !Array.isArray(pair) ||
      pair.length !== 2 ||
      !pair.every((p) => typeof p === 'string' && p !== '' && !p.includes(' '))
    )
      throw at.at(i).expected('two pieces without spaces', entry);
    return pair as [string, string];
  });
}

/**
 * The earlier the merge that makes a piece, the higher its score; pieces that no merge makes get the lowest.
 */
function scoresOf(
  merges: readonly (readonly [string, string])[],
  ids: ReadonlyMap<string, number>,
  size: number,
): MetadataValue[] {
  const scores = new Array<MetadataValue>(size).fill(-1e9);
  for (let rank = merges.length - 1; rank >= 0; rank--) {
    const id = ids.get(merges[rank]!.join(''));
    if (id !== undefined && id < size) scores[id] = -rank;
  }
  for (const [entry, id] of ids) if ([...entry].length === 1 && id < size) scores[id] = 0;
  return scores;
}

function specialTokens(metadata: Metadata, tokenizer: Tokenizer, spec: ModelSpec): void {
  const set = (key: string, id: number | null | undefined) => {
    if (id !== null && id !== undefined && id < spec.vocabularySize)
      metadata.set(`tokenizer.ggml.${key}`, u32(id));
  };
  const { bos, eos, unknown, pad } = tokenizer.special;
  const end = eos[0] ?? spec.endTokens[0];
  set('bos_token_id', bos ?? spec.beginToken);
  set('eos_token_id', end);
  // Models that end turns with another token than texts list both (Jamba: 2 and <|im_end|>).
  set(
    'eot_token_id',
    spec.endTokens.find((id) => id !== end),
  );
  set('unknown_token_id', unknown);
  set('padding_token_id', pad);
  metadata.set('tokenizer.ggml.add_bos_token', flag(tokenizer.addBos));
  metadata.set('tokenizer.ggml.add_eos_token', flag(tokenizer.addEos));
}

/** Sets `pre`. Returns null when some name gives the original's tokens, else a note. */
function findPre(metadata: Metadata, original: Tokenizer, json: JsonObject): string | null {
  const place = new Place('tokenizer.json').at('pre_tokenizer');
  const words = parsePreTokenizer(json.pre_tokenizer, place).split?.(PROBE, true) ?? [PROBE];
  // Small vocabularies give the same tokens however words are cut, so the words themselves are compared too.
  const sameWords = (name: string) => {
    const splitters = preKind(name).kind.patterns.map((pattern) =>
      splitBy(translateRegex(pattern, place), 'Isolated', false),
    );
    return chain(splitters)?.(PROBE, true).join('\0') === words.join('\0');
  };
  const alike = PRE_NAMES.filter(sameWords);
  const exact = alike.find((name) => {
    metadata.set('tokenizer.ggml.pre', text(name));
    return givesSameTokens(metadata, original);
  });
  if (exact) return null;
  metadata.set('tokenizer.ggml.pre', text(alike[0] ?? 'default'));
  const reason = alike.length ? 'normalises texts' : 'splits words';
  return `the tokenizer ${reason} in a way that GGUF has no name for: some texts will become other tokens than in the original`;
}

function findSpacePrefix(metadata: Metadata, original: Tokenizer): string | null {
  metadata.set('tokenizer.ggml.pre', text('default'));
  for (const prefix of [true, false]) {
    metadata.set('tokenizer.ggml.add_space_prefix', flag(prefix));
    if (givesSameTokens(metadata, original)) return null;
  }
  metadata.set('tokenizer.ggml.add_space_prefix', flag(startsWithSpace(original)));
  return 'the tokenizer, as GGUF expresses it, gives other tokens for some texts than the original';
}

const startsWithSpace = (tokenizer: Tokenizer): boolean => {
  const [first] = tokenizer.encode('a', { addBos: false });
  return first !== undefined && tokenizer.tokenText(first).startsWith('▁');
};

function givesSameTokens(metadata: Metadata, original: Tokenizer): boolean {
  const plain = new Map(
    [...metadata]
      .filter(([key]) => key.startsWith('tokenizer.ggml.'))
      .map(([key, typed]) => [key, typed.value as MetadataValue]),
  );
  try {
    const translated = tokenizerFromGguf(plain, 'translated tokenizer');
    const same = (options?: { addBos: boolean }) =>
      translated?.encode(PROBE, options).join() === original.encode(PROBE, options).join();
    return same() && same({ addBos: false });
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
