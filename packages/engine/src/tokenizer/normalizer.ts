// What a tokenizer does to a text before splitting it: Unicode normal forms, replacements, a leading ▁.
// Follows Hugging Face tokenizers' `normalizers`; each is a function from text to text, applied to a stretch
// between added tokens.

import { bertNormalizer } from './bert-normalizer.ts';
import { toByteCharacters } from './byte-level.ts';
import { asList, asObject, asString, type Fields, field, flag, type Place, typeOf } from './json-fields.ts';
import { precompiledNormalizer } from './precompiled.ts';
import { literalRegex, translateRegex } from './regex.ts';

export type Normalizer = (text: string) => string;

const MOST_STEPS = 64;
const LONGEST_REPLACEMENT = 64;
/**
 * NFKC makes 18 characters of one at most; a chain of replacements that grows a text more than this is an
 * attack.
 */
const MOST_GROWTH = 32;

/** Null: leaves the text as it is. */
export function parseNormalizer(value: unknown, place: Place): Normalizer | null {
  if (value === undefined || value === null) return null;
  const steps = collectSteps(value, place, 'normalizers').map(([step, at]) => normalizerStep(step, at));
  if (steps.length === 0) return null;
  return (text) => {
    let current = text;
    for (const step of steps) {
      current = step(current);
      if (current.length > 4096 && current.length > text.length * MOST_GROWTH) {
        throw place.error(`makes a text of ${text.length} characters longer than ${MOST_GROWTH} times that`);
      }
    }
    return current;
  };
}

/** Flattens nested `Sequence`s; shared by normalizers, pre-tokenizers, decoders and post-processors. */
export function collectSteps(value: unknown, place: Place, listKey: string, depth = 0): [Fields, Place][] {
  const component = asObject(value, place);
  if (typeOf(component, place) !== 'Sequence') return [[component, place]];
  if (depth > 8) throw place.error('expected at most 8 nested sequences');
  const at = place.at(listKey);
  const list = asList(field(component, listKey), at);
  if (list.length > MOST_STEPS) throw at.expected(`at most ${MOST_STEPS} steps`, list);
  return list.flatMap((child, i) => collectSteps(child, at.at(i), listKey, depth + 1));
}

/** `{"String": …}` or `{"Regex": …}`, as a global expression. */
export function parsePattern(value: unknown, place: Place): RegExp {
  const pattern = asObject(value, place);
  const literal = field(pattern, 'String');
  if (literal !== undefined) {
    const text = asString(literal, place.at('String'));
    if (text === '') throw place.at('String').expected('a text that is not empty', text);
    return literalRegex(text);
  }
  return translateRegex(asString(field(pattern, 'Regex'), place.at('Regex')), place.at('Regex'));
}

function normalizerStep(step: Fields, place: Place): Normalizer {
  const type = typeOf(step, place);
  switch (type) {
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return (text) => text.normalize(type);
    case 'Prepend': {
      const prefix = asString(field(step, 'prepend'), place.at('prepend'));
      if (prefix.length > LONGEST_REPLACEMENT) throw place.at('prepend').expected('a short text', prefix);
      return (text) => (text === '' ? text : prefix + text);
    }
    case 'Replace': {
      const expression = parsePattern(field(step, 'pattern'), place.at('pattern'));
      const content = asString(field(step, 'content'), place.at('content'));
      if (content.length > LONGEST_REPLACEMENT) throw place.at('content').expected('a short text', content);
      const replacement = content.replaceAll('$', '$$$$'); // a function here is 6x slower, measured
      return (text) => text.replace(expression, replacement);
    }
    case 'Lowercase': // letter by letter, so a final Σ becomes σ and not ς
      return (text) => text.replaceAll('Σ', 'σ').toLowerCase();
    case 'Strip': {
      const left = flag(step, 'strip_left', true, place);
      const right = flag(step, 'strip_right', true, place);
      return (text) => stripSpace(text, left, right);
    }
    case 'BertNormalizer': {
      const lowercase = flag(step, 'lowercase', true, place);
      return bertNormalizer({
        cleanText: flag(step, 'clean_text', true, place),
        handleChinese: flag(step, 'handle_chinese_chars', true, place),
        stripAccents: flag(step, 'strip_accents', lowercase, place),
        lowercase,
      });
    }
    case 'Precompiled': {
      const at = place.at('precompiled_charsmap');
      return precompiledNormalizer(asString(field(step, 'precompiled_charsmap'), at), at);
    }
    case 'StripAccents':
      return (text) => text.replace(/\p{M}/gv, '');
    case 'ByteLevel':
      return toByteCharacters;
    default:
      throw place.at('type').expected('a known normalizer (NFC, Replace, Prepend, Strip, Lowercase …)', type);
  }
}

function stripSpace(text: string, left: boolean, right: boolean): string {
  const space = /\p{White_Space}/v;
  let start = 0;
  let end = text.length;
  while (left && start < end && space.test(text[start]!)) start++;
  while (right && end > start && space.test(text[end - 1]!)) end--;
  return text.slice(start, end);
}
