// Hugging Face's tokenizer.json (and what tokenizer_config.json adds to it) → Tokenizer. Format: the
// serialisation of huggingface/tokenizers; every field is checked and errors name it.

import { BpeModel, type WordModel } from './bpe-model.ts';
import { configuredTokens } from './configured-tokens.ts';
import { parseDecoder } from './decoder.ts';
import {
  asCount,
  asList,
  asObject,
  asString,
  type Fields,
  field,
  flag,
  optionalString,
  Place,
  typeOf,
} from './json-fields.ts';
import { parseNormalizer } from './normalizer.ts';
import { parsePostProcessor } from './post-processor.ts';
import { parsePreTokenizer } from './pre-tokenizer.ts';
import { resolveSpecials } from './special-tokens.ts';
import { assembleTokenizer } from './tokenizer.ts';
import type { AddedToken, Tokenizer } from './types.ts';
import {
  plainVocabulary,
  readAddedTokens,
  readMerges,
  readVocabulary,
  type Vocabulary,
} from './vocabulary.ts';
import { onByteCharacters, UnigramModel, wordLevelModel } from './word-models.ts';
import { splitEntries, WordPieceModel } from './word-piece.ts';

/** `name`: of the file, for messages. Throws FormatError with the field that is broken or not supported. */
export function tokenizerFromJson(tokenizerJson: unknown, tokenizerConfig: unknown, name: string): Tokenizer {
  const place = new Place(name);
  const root = asObject(tokenizerJson, place);
  const config =
    tokenizerConfig === undefined || tokenizerConfig === null
      ? {}
      : asObject(tokenizerConfig, place.at('tokenizer_config'));
  const model = asObject(field(root, 'model'), place.at('model'));
  const modelType = modelTypeOf(model, place.at('model'));
  const scores: number[] = [];
  const vocabulary = readModelVocabulary(model, modelType, scores, place.at('model'));
  // Taken before added tokens come in: one of them may be spelled like an entry of the model (byte
  // characters!).
  const modelIds = new Map(vocabulary.ids);
  const own = readAddedTokens(field(root, 'added_tokens'), vocabulary, place.at('added_tokens'));
  const added = configuredTokens(config, own, vocabulary, place.at('tokenizer_config'));
  const specialIds = new Set(added.filter((token) => token.special).map((token) => token.id));
  const preTokenizer = parsePreTokenizer(field(root, 'pre_tokenizer'), place.at('pre_tokenizer'));
  const notes: string[] = [];
  const unknown = readUnknown(model, vocabulary, place.at('model'));
  const context: ModelContext = {
    model,
    modelIds,
    specialIds,
    byteLevel: preTokenizer.byteLevel,
    unknown,
    scores,
    notes,
  };
  const wordModel = buildModel(modelType, context, place.at('model'));
  const template = parsePostProcessor(field(root, 'post_processor'), vocabulary, place.at('post_processor'));
  const specials = resolveSpecials({ config, vocabulary, added, template, unknown }, place);
  return assembleTokenizer({
    name,
    texts: vocabulary.texts,
    ids: vocabulary.ids,
    added,
    specialIds,
    normalizer: parseNormalizer(field(root, 'normalizer'), place.at('normalizer')),
    preTokenizer,
    model: wordModel,
    decoder: parseDecoder(field(root, 'decoder'), place.at('decoder')),
    rawIds: rawTokens(added, preTokenizer.byteLevel),
    ...specials,
    notes,
  });
}

const modelTypes = ['BPE', 'WordLevel', 'Unigram', 'WordPiece'] as const;
type ModelType = (typeof modelTypes)[number];

/** Old files leave the type out: then the fields tell. */
function modelTypeOf(model: Fields, place: Place): ModelType {
  if (field(model, 'type') === undefined && Array.isArray(field(model, 'merges'))) return 'BPE';
  const name = typeOf(model, place);
  const type = modelTypes.find((known) => known === name);
  if (type === undefined) throw place.at('type').expected(`one of ${modelTypes.join(', ')}`, name);
  return type;
}

function readModelVocabulary(model: Fields, type: ModelType, scores: number[], place: Place): Vocabulary {
  const at = place.at('vocab');
  if (type !== 'Unigram') return readVocabulary(field(model, 'vocab'), at);
  const list = asList(field(model, 'vocab'), at);
  const ids: Record<string, number> = Object.create(null);
  for (const [id, entry] of list.entries()) {
    const [text, score, ...rest] = asList(entry, at.at(id));
    if (typeof score !== 'number' || !Number.isFinite(score) || rest.length > 0)
      throw at.at(id).expected('[text, score]', entry);
    scores.push(score);
    const piece = asString(text, at.at(id));
    if (ids[piece] !== undefined) throw at.at(id).expected('a text that was not there before', piece);
    ids[piece] = id;
  }
  return readVocabulary(ids, at);
}

function readUnknown(model: Fields, vocabulary: Vocabulary, place: Place): number | null {
  const id = field(model, 'unk_id');
  if (id !== undefined && id !== null) {
    const known = asCount(id, vocabulary.texts.length - 1, place.at('unk_id'));
    if (vocabulary.texts[known] === undefined) throw place.at('unk_id').expected('the number of a token', id);
    return known;
  }
  const text = optionalString(model, 'unk_token', place);
  return text === null ? null : (vocabulary.ids.get(text) ?? null);
}

interface ModelContext {
  readonly model: Fields;
  readonly modelIds: ReadonlyMap<string, number>;
  readonly specialIds: ReadonlySet<number>;
  readonly byteLevel: boolean;
  readonly unknown: number | null;
  readonly scores: readonly number[];
  readonly notes: string[];
}

function buildModel(type: ModelType, context: ModelContext, place: Place): WordModel {
  const { modelIds, specialIds, unknown, byteLevel, scores, model } = context;
  if (type === 'BPE') return buildBpe(context, place);
  const plain = plainVocabulary(modelIds, specialIds);
  const byteFallback = flag(model, 'byte_fallback', false, place);
  const words =
    type === 'WordPiece'
      ? new WordPieceModel({
          ...splitEntries(plain, optionalString(model, 'continuing_subword_prefix', place) ?? '##'),
          unknown,
          longestWord: asCount(field(model, 'max_input_chars_per_word') ?? 100, 2 ** 20, place),
        })
      : type === 'WordLevel'
        ? wordLevelModel(plain, unknown)
        : new UnigramModel({
            vocabulary: plain,
            score: (token) => scores[token] ?? 0,
            unknown,
            byteFallback,
          });
  return byteLevel ? onByteCharacters(words) : words;
}

function buildBpe(
  { model, modelIds, specialIds, unknown, byteLevel, notes }: ModelContext,
  place: Place,
): WordModel {
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    const affix = optionalString(model, key, place);
    if (affix !== null && affix !== '')
      throw place.at(key).expected('nothing (affixes are not supported)', affix);
  }
  const byteFallback = flag(model, 'byte_fallback', false, place);
  const bpe = new BpeModel({
    vocabulary: plainVocabulary(modelIds, specialIds),
    merges: readMerges(field(model, 'merges'), modelIds, specialIds, place.at('merges')),
    byteLevel,
    byteFallback,
    unknown,
    fuseUnknown: flag(model, 'fuse_unk', false, place),
    ignoreMerges: flag(model, 'ignore_merges', false, place),
  });
  const missing = byteLevel || byteFallback ? bpe.missingBytes() : 0;
  if (missing > 0)
    notes.push(
      `${missing} of 256 bytes have no token: text with them is ${unknown === null ? 'dropped' : 'unknown'}`,
    );
  return bpe;
}

/**
 * Added tokens whose text is not in the spelling of a byte-level vocabulary: a space in it is a space, not Ġ.
 */
function rawTokens(added: readonly AddedToken[], byteLevel: boolean): Set<number> {
  return new Set(byteLevel ? added.map((token) => token.id) : []);
}
