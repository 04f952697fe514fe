// The tokenizer inside GGUF metadata → Tokenizer. Keys: ggml's docs/gguf.md ("Tokenizer"); defaults (which
// tokens end a text, the leading space of SentencePiece vocabularies) are llama.cpp's, so that both read the
// same file the same way.

import type { MetadataValue } from '../formats/gguf-values.ts';
import { bertNormalizer } from './bert-normalizer.ts';
import { BpeModel } from './bpe-model.ts';
import { byteLevelDecoder, sentencePieceDecoder, wordPieceDecoder } from './decoder.ts';
import { preKind } from './gguf-pre.ts';
import { Place } from './json-fields.ts';
import { chain, parsePreTokenizer, splitBy } from './pre-tokenizer.ts';
import { translateRegex } from './regex.ts';
import { assembleTokenizer, type TokenizerParts } from './tokenizer.ts';
import { endsTurn, isMarker } from './turn-ends.ts';
import type { AddedToken, Tokenizer } from './types.ts';
import { mergesOfScores, readMerges } from './vocabulary.ts';
import { WordPieceModel } from './word-piece.ts';

type Metadata = ReadonlyMap<string, MetadataValue>;

/** llama.h, `enum llama_token_type`. */
const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;

/** Null when the file has no tokenizer ("none", or no such key). `name`: of the file, for messages. */
export function tokenizerFromGguf(metadata: Metadata, name: string): Tokenizer | null {
  const reader = new Reader(metadata, new Place(name));
  const model = reader.text('model');
  if (model === null || model === 'none' || model === 'no_vocab') return null;
  if (model === 'llama') return sentencePiece(reader, name);
  if (model === 'gpt2') return byteLevel(reader, name);
  if (model === 'bert') return wordPiece(reader, name);
  throw reader
    .at('model')
    .expected(
      'llama (SentencePiece-style BPE), gpt2 (byte-level BPE) or bert (WordPiece); other kinds are not supported',
      model,
    );
}

/** Typed access to the `tokenizer.ggml.*` keys. */
class Reader {
  readonly metadata: Metadata;
  readonly place: Place;

  constructor(metadata: Metadata, place: Place) {
    this.metadata = metadata;
    this.place = place;
  }

  at(key: string): Place {
    return this.place.at(`tokenizer.ggml.${key}`);
  }

  get(key: string): MetadataValue | undefined {
    return this.metadata.get(`tokenizer.ggml.${key}`);
  }

  text(key: string): string | null {
    const value = this.get(key);
    if (value !== undefined && typeof value !== 'string') throw this.at(key).expected('a text', value);
    return value ?? null;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.get(key);
    if (value !== undefined && typeof value !== 'boolean')
      throw this.at(key).expected('true or false', value);
    return value ?? fallback;
  }

  /** Ids outside the vocabulary mean none, −1 and its unsigned forms without a note: as in llama.cpp. */
  token(key: string, fallback: number | null, size: number, notes: string[] = []): number | null {
    const value = this.get(key) ?? fallback;
    if (value === null || value === 0xffffffff) return null;
    const number = typeof value === 'bigint' ? Number(BigInt.asIntN(64, value)) : value;
    if (number === -1) return null;
    if (typeof number !== 'number' || !Number.isInteger(number))
      throw this.at(key).expected('a token number', value);
    if (number >= 0 && number < size) return number;
    if (this.get(key) !== undefined)
      notes.push(`tokenizer.ggml.${key} is ${value}, of a vocabulary of ${size}: taken as none`);
    return null;
  }

  texts(): string[] {
    const list = this.list('tokens', null);
    if (list === null || list.length === 0)
      throw this.at('tokens').expected(
        `a list of texts, as tokenizer.ggml.model ${this.get('model')} needs`,
        this.get('tokens'),
      );
    return list.map((text, i) => {
      if (typeof text !== 'string') throw this.at('tokens').at(i).expected('a text', text);
      return text;
    });
  }

  numbers(key: string, length: number | null): number[] | null {
    const list = this.list(key, length);
    return (
      list?.map((value, i) => {
        if (typeof value !== 'number' || Number.isNaN(value))
          throw this.at(key).at(i).expected('a number', value);
        return value;
      }) ?? null
    );
  }

  /** Of a list with more entries than there are tokens, the first ones count. */
  list(key: string, length: number | null): MetadataValue[] | null {
    const value = this.get(key);
    if (value === undefined) return null;
    if (!Array.isArray(value)) throw this.at(key).expected('a list', value);
    if (length !== null && value.length < length)
      throw this.at(key).expected(`one entry for each of the ${length} tokens`, value);
    return length !== null && value.length > length ? value.slice(0, length) : value;
  }
}

interface Table {
  readonly texts: readonly string[];
  readonly ids: ReadonlyMap<string, number>;
  readonly added: readonly AddedToken[];
  readonly specialIds: ReadonlySet<number>;
  /** Entries that merges may name, and those that plain text may become. */
  readonly words: ReadonlyMap<string, number>;
  readonly plain: ReadonlyMap<string, number>;
  readonly types: readonly number[];
}

/**
 * `rawAdded`: user-defined tokens are raw text among entries in another spelling, so words never become them.
 */
function readTable(reader: Reader, rawAdded: boolean): Table {
  const texts = reader.texts();
  const types = reader.numbers('token_type', texts.length) ?? texts.map(() => 1);
  const given = [...types];
  const known = new Set(texts);
  texts.forEach((text, id) => {
    if (isMarker(text, (other) => known.has(other))) types[id] = CONTROL;
  });
  const ids = new Map<string, number>();
  const plain = new Map<string, number>();
  const added: AddedToken[] = [];
  const addedTexts = new Set<string>();
  const specialIds = new Set<number>();
  for (const [id, content] of texts.entries()) {
    // Padding entries may repeat; the first is the one that text becomes, as in llama.cpp.
    const first = !ids.has(content);
    if (first) ids.set(content, id);
    const special = types[id] === CONTROL || types[id] === UNKNOWN;
    if (special) specialIds.add(id);
    const isAdded = special || types[id] === USER_DEFINED;
    const isPlain = rawAdded ? !isAdded && !plain.has(content) : first && !special;
    if (isPlain && content !== '') plain.set(content, id);
    if (!isAdded || content === '' || addedTexts.has(content)) continue;
    addedTexts.add(content);
    added.push({ id, content, special, lstrip: false, rstrip: false, singleWord: false, normalized: false });
  }
  // Merges still name what the file calls an ordinary token; those that make one are left out.
  const words = rawAdded ? new Map(plain) : ids;
  if (rawAdded) for (const id of specialIds) if (given[id] === NORMAL) words.set(texts[id]!, id);
  return { texts, ids, added, specialIds, words, plain, types };
}

function finish(
  reader: Reader,
  table: Table,
  defaults: {
    bos: number | null;
    eos: number | null;
    unknown: number | null;
    addBos: boolean;
    addEos?: boolean;
  },
  parts: Pick<TokenizerParts, 'name' | 'normalizer' | 'preTokenizer' | 'model' | 'decoder' | 'notes'>,
): Tokenizer {
  const size = table.texts.length;
  const notes = [...parts.notes];
  const bos = reader.token('bos_token_id', defaults.bos, size, notes);
  const eos = new Set<number>();
  for (const key of ['eos_token_id', 'eot_token_id', 'eom_token_id']) {
    const id = reader.token(key, key === 'eos_token_id' ? defaults.eos : null, size, notes);
    if (id !== null) eos.add(id);
  }
  // ollama's converter.
  for (const id of reader.numbers('eos_token_ids', null) ?? [])
    if (table.texts[id] !== undefined) eos.add(id);
  for (const id of table.specialIds)
    if (endsTurn(table.texts[id]!, (text) => table.ids.has(text))) eos.add(id);
  const ending = reader.token('eos_token_id', defaults.eos, size);
  const addEos = reader.flag('add_eos_token', defaults.addEos ?? false);
  return assembleTokenizer({
    ...parts,
    notes,
    texts: table.texts,
    ids: table.ids,
    added: table.added,
    specialIds: table.specialIds,
    rawIds: new Set(table.added.map((token) => token.id)),
    special: {
      bos,
      eos: [...eos],
      unknown: reader.token('unknown_token_id', defaults.unknown, size),
      pad: reader.token('padding_token_id', null, size, notes),
    },
    prefix: bos === null ? [] : [bos],
    addBos: reader.flag('add_bos_token', defaults.addBos) && bos !== null,
    suffix: addEos && ending !== null ? [ending] : [],
    addEos,
  });
}

function sentencePiece(reader: Reader, name: string): Tokenizer {
  const table = readTable(reader, false);
  const scores = reader.numbers('scores', table.texts.length) ?? [];
  const notes: string[] = [];
  const score = orderOf(table, scores, notes);
  const prefix = reader.flag('add_space_prefix', true);
  const unknown = reader.token('unknown_token_id', 0, table.texts.length);
  const merges =
    reader.get('merges') === undefined
      ? mergesOfScores(table.plain, score)
      : readMerges(reader.get('merges'), table.words, table.specialIds, reader.at('merges'), notes);
  const model = new BpeModel({
    vocabulary: table.plain,
    merges,
    byteLevel: false,
    byteFallback: true,
    unknown,
    fuseUnknown: false,
    ignoreMerges: false,
  });
  if (model.missingBytes() > 0)
    notes.push(`${model.missingBytes()} of 256 bytes have no token: characters that need them are unknown`);
  const mark = (text: string) => text.replaceAll(' ', '▁');
  return finish(
    reader,
    table,
    { bos: 1, eos: 2, unknown, addBos: true },
    {
      name,
      // As in llama.cpp (and Hugging Face's "legacy" Llama): every stretch between special tokens gets the
      // space.
      normalizer: prefix ? (text) => `▁${mark(text)}` : mark,
      preTokenizer: { split: null, byteLevel: false },
      model,
      decoder: sentencePieceDecoder(prefix ? 1 : 0),
      notes,
    },
  );
}

/**
 * Converters without access to the SentencePiece file write the same score for every token. The order in
 * which such a vocabulary was trained is that of its numbers, so these decide then.
 */
function orderOf(table: Table, scores: readonly number[], notes: string[]): (id: number) => number {
  const byScore = (id: number) => scores[id] ?? 0;
  if (table.plain.size < 3) return byScore;
  let one: number | undefined;
  for (const [text, id] of table.plain) {
    if (text.length < 2 || table.types[id] !== 1) continue;
    one ??= byScore(id);
    if (byScore(id) !== one) return byScore;
  }
  notes.push(
    'the file has no scores (tokenizer.ggml.scores are all equal); merges follow the order of token numbers',
  );
  const runsOfSpaces = /^▁{2,}$/; // SentencePiece gives these a score of −1e9: joined last
  return (id) => (runsOfSpaces.test(table.texts[id]!) ? -1e9 : -id);
}

function byteLevel(reader: Reader, name: string): Tokenizer {
  const table = readTable(reader, true);
  const { kind, note } = preKind(reader.text('pre'));
  const notes = note === null ? [] : [note];
  const merges = reader.get('merges');
  if (merges === undefined)
    throw reader.at('merges').expected('a list of merges, as byte-level BPE needs', merges);
  const unknown = reader.token('unknown_token_id', null, table.texts.length);
  const model = new BpeModel({
    vocabulary: table.plain,
    merges: readMerges(merges, table.words, table.specialIds, reader.at('merges'), notes),
    byteLevel: true,
    byteFallback: false,
    unknown,
    fuseUnknown: false,
    ignoreMerges: kind.ignoreMerges,
  });
  if (model.missingBytes() > 0)
    notes.push(
      `${model.missingBytes()} of 256 bytes have no token: text with them is ${unknown === null ? 'dropped' : 'unknown'}`,
    );
  const spacePrefix = reader.flag('add_space_prefix', false);
  const splitters = kind.patterns.map((pattern) =>
    splitBy(translateRegex(pattern, reader.at('pre')), 'Isolated', false),
  );
  const normalize = (text: string) =>
    kind.normalization === null ? text : text.normalize(kind.normalization);
  return finish(
    reader,
    table,
    { bos: null, eos: null, unknown: null, addBos: kind.addBos },
    {
      name,
      normalizer: (text) => (spacePrefix ? ` ${normalize(text)}` : normalize(text)),
      preTokenizer: { split: chain(splitters), byteLevel: true },
      model,
      decoder: byteLevelDecoder,
      notes,
    },
  );
}

/** Entries that begin a word are written with ▁, others without a mark. */
function wordPiece(reader: Reader, name: string): Tokenizer {
  const table = readTable(reader, false);
  const begin = new Map<string, number>();
  const inside = new Map<string, number>();
  for (const [text, token] of table.plain)
    if (text.startsWith('▁')) begin.set(text.slice(1), token);
    else inside.set(text, token);
  const unknown = reader.token('unknown_token_id', 100, table.texts.length);
  const lowercase = reader.flag('normalizer.lowercase', true);
  const stripAccents = reader.flag('normalizer.strip_accents', lowercase);
  const place = reader.at('model');
  return finish(
    reader,
    table,
    { bos: 101, eos: 102, unknown, addBos: true, addEos: true },
    {
      name,
      normalizer: bertNormalizer({ cleanText: true, handleChinese: true, stripAccents, lowercase }),
      preTokenizer: parsePreTokenizer({ type: 'BertPreTokenizer' }, place),
      model: new WordPieceModel({ begin, inside, unknown, longestWord: 100 }),
      decoder: wordPieceDecoder(
        (entry) =>
          entry.startsWith('▁') ? { text: entry.slice(1), begins: true } : { text: entry, begins: false },
        false,
      ),
      notes: [],
    },
  );
}
