// Which tokens begin, end and pad a text, and whether the first goes in front of every prompt. tokenizer.json
// says only part of it; the rest is in tokenizer_config.json and, for the Llama and Gemma classes, in Hugging
// Face's code.

import { asString, type Fields, field, flag, optionalString, type Place } from './json-fields.ts';
import type { Template } from './post-processor.ts';
import { endsTurn } from './turn-ends.ts';
import type { AddedToken, Tokenizer } from './types.ts';
import type { Vocabulary } from './vocabulary.ts';

interface Known {
  readonly config: Fields;
  readonly vocabulary: Vocabulary;
  readonly added: readonly AddedToken[];
  readonly template: Template | null;
  readonly unknown: number | null;
}

export interface Specials {
  readonly special: Tokenizer['special'];
  readonly prefix: readonly number[];
  /** What the convention ends a whole text with. */
  readonly suffix: readonly number[];
  readonly addBos: boolean;
  readonly addEos: boolean;
}

/** Tried in order where the config names none. */
const usualBos = ['<s>', '<|begin_of_text|>', '<|startoftext|>', '<bos>'];
const usualEos = ['</s>', '<|endoftext|>', '<|end_of_text|>', '<eos>', '<|im_end|>'];
const usualPad = ['<pad>', '<|pad|>', '[PAD]'];

/** Classes whose code adds the first token whatever tokenizer.json says, unless `add_bos_token` is false. */
const addsBosInCode = /^(Code)?(Llama|Gemma)Tokenizer(Fast)?$/;

export function resolveSpecials(known: Known, place: Place): Specials {
  const { config, template, unknown } = known;
  const at = place.at('tokenizer_config');
  const named = template?.before.length === 1 ? template.before[0]! : null;
  const bos = configured(known, 'bos_token', at) ?? named ?? usual(known, 'bos_token', usualBos);
  const eos = configured(known, 'eos_token', at) ?? usual(known, 'eos_token', usualEos);
  const pad = configured(known, 'pad_token', at) ?? usual(known, 'pad_token', usualPad);
  const prefix =
    template !== null && template.before.length > 0 ? template.before : bos === null ? [] : [bos];
  const byCode = addsBosInCode.test(optionalString(config, 'tokenizer_class', at) ?? '');
  const byTemplate = template !== null && template.before.length > 0;
  const addBos = prefix.length > 0 && (byCode ? flag(config, 'add_bos_token', true, at) : byTemplate);
  const addEos =
    eos !== null && (flag(config, 'add_eos_token', false, at) || (template?.after.includes(eos) ?? false));
  const ids = known.vocabulary.ids;
  const ends = known.added.filter(
    ({ special, content }) => special && endsTurn(content, (text) => ids.has(text)),
  );
  return {
    special: {
      bos,
      eos: [...new Set([...(eos === null ? [] : [eos]), ...ends.map(({ id }) => id)])],
      unknown: unknown ?? configured(known, 'unk_token', at),
      pad,
    },
    prefix,
    suffix: template?.after.length ? template.after : addEos ? [eos] : [],
    addBos,
    addEos,
  };
}

/** A token as text or as {"content": text}; null when the config has none. */
function configured(known: Known, key: string, place: Place): number | null {
  const value = field(known.config, key);
  if (value === undefined || value === null) return null;
  const at = place.at(key);
  const isObject = typeof value === 'object' && !Array.isArray(value);
  const text = isObject ? asString(field(value as Fields, 'content'), at.at('content')) : asString(value, at);
  return known.vocabulary.ids.get(text) ?? null;
}

function usual(known: Known, key: string, texts: readonly string[]): number | null {
  if (Object.hasOwn(known.config, key)) return null;
  for (const text of texts) {
    const token = known.added.find((candidate) => candidate.special && candidate.content === text);
    if (token !== undefined) return token.id;
  }
  return null;
}
