// What Hugging Face's `post_processor` puts around a text. Only the parts for a single text matter here: the
// tokens in front (usually the one that begins a text) and behind.

import {
  asCount,
  asList,
  asObject,
  asString,
  describe,
  type Fields,
  field,
  type Place,
  typeOf,
} from './json-fields.ts';
import { collectSteps } from './normalizer.ts';
import type { Vocabulary } from './vocabulary.ts';

export interface Template {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const MOST_TOKENS = 16;

/** Null: the file has no template, which for some models means that their code adds the tokens. */
export function parsePostProcessor(value: unknown, vocabulary: Vocabulary, place: Place): Template | null {
  if (value === undefined || value === null) return null;
  let template: Template | null = null;
  for (const [step, at] of collectSteps(value, place, 'processors')) {
    const type = typeOf(step, at);
    if (type === 'TemplateProcessing') template = readTemplate(step, vocabulary, at);
    else if (type === 'BertProcessing' || type === 'RobertaProcessing')
      template = readPair(step, vocabulary, at);
    else if (type !== 'ByteLevel')
      throw at.at('type').expected('TemplateProcessing, ByteLevel or Sequence', type);
  }
  return template;
}

function readTemplate(step: Fields, vocabulary: Vocabulary, place: Place): Template {
  const single = asList(field(step, 'single'), place.at('single'));
  if (single.length > MOST_TOKENS) throw place.at('single').expected(`at most ${MOST_TOKENS} parts`, single);
  const before: number[] = [];
  const after: number[] = [];
  let seen = false;
  for (const [i, value] of single.entries()) {
    const at = place.at('single').at(i);
    const part = asObject(value, at);
    const token = field(part, 'SpecialToken');
    if (token === undefined) {
      asObject(field(part, 'Sequence'), at.at('Sequence'));
      if (seen) throw at.error('expected the text once, found it twice');
      seen = true;
      continue;
    }
    const id = asString(field(asObject(token, at.at('SpecialToken')), 'id'), at.at('SpecialToken').at('id'));
    (seen ? after : before).push(...templateIds(step, id, vocabulary, place));
  }
  if (!seen)
    throw place.at('single').error('expected the text (a Sequence) in it, found only special tokens');
  return { before, after };
}

function templateIds(step: Fields, id: string, vocabulary: Vocabulary, place: Place): number[] {
  const at = place.at('special_tokens');
  const entry = field(asObject(field(step, 'special_tokens'), at), id);
  const entryAt = at.at(JSON.stringify(id.slice(0, 60)));
  const ids = asList(field(asObject(entry, entryAt), 'ids'), entryAt.at('ids'));
  if (ids.length > MOST_TOKENS) throw entryAt.at('ids').expected(`at most ${MOST_TOKENS} numbers`, ids);
  return ids.map((value, i) => asCount(value, vocabulary.texts.length - 1, entryAt.at('ids').at(i)));
}

/** BERT's and RoBERTa's: `cls` in front, `sep` behind, each as [text, number]. */
function readPair(step: Fields, vocabulary: Vocabulary, place: Place): Template {
  const read = (key: string) => {
    const [text, id] = asList(field(step, key), place.at(key));
    if (typeof text !== 'string')
      throw place.at(key).error(`expected [text, number], found ${describe(text)} first`);
    return asCount(id, vocabulary.texts.length - 1, place.at(key).at(1));
  };
  return { before: [read('cls')], after: [read('sep')] };
}
