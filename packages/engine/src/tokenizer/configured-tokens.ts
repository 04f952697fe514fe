// What tokenizer_config.json says about added tokens counts over tokenizer.json, as in transformers: its
// tokens are added again with their properties, those that it names as special are special, and those that
// only it lists exist. A token is known by its text: its number is the one that the vocabulary has for it,
// else the next one, whatever the file says.

import { asCount, asList, asObject, asString, type Fields, field, type Place } from './json-fields.ts';
import type { AddedToken } from './types.ts';
import { enter, readAddedToken, type Vocabulary } from './vocabulary.ts';

/** Fields that name one special token each. */
const NAMES = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'];
/** Fields that list more, as texts or objects; the second also as an object of them. */
const LISTS = ['additional_special_tokens', 'extra_special_tokens'];

type Properties = Omit<AddedToken, 'id'>;

/** The added tokens with what the configuration says; new ones are entered into the vocabulary. */
export function configuredTokens(
  config: Fields,
  added: readonly AddedToken[],
  vocabulary: Vocabulary,
  place: Place,
): AddedToken[] {
  const tokens = new Map(added.map((token) => [token.content, token]));
  const put = (token: Properties) => {
    const id = vocabulary.ids.get(token.content) ?? vocabulary.texts.length;
    if (token.content === '') return;
    enter(vocabulary, token.content, id);
    tokens.set(token.content, { ...token, id });
  };
  for (const token of listed(field(config, 'added_tokens_decoder'), place.at('added_tokens_decoder')))
    put(token);
  const special = specialTokens(config, place);
  for (const content of legacy(field(config, 'added_tokens_encoder'), place.at('added_tokens_encoder')))
    if (!tokens.has(content))
      put(
        plainly(
          content,
          special.some((token) => token.content === content),
        ),
      );
  for (const token of special) {
    const known = tokens.get(token.content);
    if (!known) put(token);
    else if (!known.special) put({ ...known, special: true });
  }
  return [...tokens.values()];
}

/** `{"406": {"content": "<|im_end|>", "special": true, …}, …}`, in the order of the numbers. */
function listed(value: unknown, place: Place): Properties[] {
  if (value === undefined || value === null) return [];
  return Object.entries(asObject(value, place))
    .map(([key, entry]): [number, unknown] => [asCount(Number(key), MOST, place.at(key)), entry])
    .sort(([a], [b]) => a - b)
    .map(([id, entry]) =>
      readAddedToken({ ...asObject(entry, place.at(`${id}`)), id }, MOST, place.at(`${id}`)),
    );
}

/** Far above any vocabulary; the number is not used. */
const MOST = 2 ** 31;

/** `{"<|im_end|>": 406, …}` of added_tokens.json, in the order of the numbers. */
function legacy(value: unknown, place: Place): string[] {
  if (value === undefined || value === null) return [];
  return Object.entries(asObject(value, place))
    .map(([text, id]): [string, number] => [text, asCount(id, MOST, place.at(text.slice(0, 60)))])
    .sort(([, a], [, b]) => a - b)
    .map(([text]) => text);
}

function specialTokens(config: Fields, place: Place): Properties[] {
  const found: Properties[] = [];
  const take = (value: unknown, at: Place) => {
    if (value === undefined || value === null) return;
    if (typeof value === 'string') found.push(plainly(value, true));
    else found.push({ ...readAddedToken({ ...asObject(value, at), id: 0 }, MOST, at), special: true });
  };
  for (const name of NAMES) take(field(config, name), place.at(name));
  for (const name of LISTS) {
    const at = place.at(name);
    const value = field(config, name);
    if (value === undefined || value === null) continue;
    const entries = Array.isArray(value) ? asList(value, at) : Object.values(asObject(value, at));
    entries.forEach((entry, i) => take(entry, at.at(i)));
  }
  return found.filter(({ content }) => asString(content, place) !== '');
}

const plainly = (content: string, special: boolean): Properties => ({
  content,
  special,
  lstrip: false,
  rstrip: false,
  singleWord: false,
  normalized: !special,
});
