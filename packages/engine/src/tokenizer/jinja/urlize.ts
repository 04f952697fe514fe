// `urlize`: links in a text become HTML.

import { bind } from './args.ts';
import { characters, isSpace, splitAtSpaces } from './characters.ts';
import { fail } from './errors.ts';
import { listOf } from './iterate.ts';
import { escapeHtml } from './markup.ts';
import { smallInteger } from './operators.ts';
import { repr, str } from './print.ts';
import { isTrue, Markup, type Native, type Value } from './values.ts';

const LABEL = '[\\p{L}\\p{N}_%-]';
const http = new RegExp(
  '^((https?://|www\\.)' +
    `((?:[\\p{L}\\p{N}_%-]+\\.)+)?([a-z]{2,63}|xn--[\\p{L}\\p{N}_%]{2,59})` +
    `|(?:${LABEL}{2,63}\\.)+(com|net|int|edu|gov|org|info|mil)` +
    '|(https?://)(([0-9]{1,3})(\\.[0-9]{1,3}){3}|\\[([0-9a-f]{0,4}:){2}([0-9a-f]{0,4}:?){1,6}\\])' +
    ')(?::[0-9]{1,5})?(?:[/?#]\\S*)?$',
  'iu',
);
const email = /^\S+@[\p{L}\p{N}_][\p{L}\p{N}_.-]*\.[\p{L}\p{N}_]+$/u;
/** Words longer than any address are left alone: the patterns need not meet them. */
const LONGEST_WORD = 2048;

interface LinkOptions {
  readonly limit: number | null;
  readonly rel: string;
  readonly target: string;
  readonly schemes: readonly string[];
}

/** Blanks and what is between them. */
function pieces(text: string): string[] {
  const found: string[] = [];
  let start = 0;
  for (let at = 1; at <= text.length; at++) {
    if (at < text.length && isSpace(text.charCodeAt(at)) === isSpace(text.charCodeAt(at - 1))) continue;
    found.push(text.slice(start, at));
    start = at;
  }
  return found;
}

const OPENERS = ['(', '<', '&lt;'];
const CLOSERS = [')', '>', '.', ',', '\n', '&gt;'];

function link(word: string, options: LinkOptions): string {
  let head = '';
  let middle = word;
  for (let mark = starts(middle); mark !== undefined; mark = starts(middle)) {
    head += mark;
    middle = middle.slice(mark.length);
  }
  let tail = '';
  for (let mark = ends(middle); mark !== undefined; mark = ends(middle)) {
    tail = mark + tail;
    middle = middle.slice(0, middle.length - mark.length);
  }
  [middle, tail] = balanced(middle, tail);
  return head + linked(middle, options) + tail;
}

const starts = (text: string): string | undefined => OPENERS.find((mark) => text.startsWith(mark));
const ends = (text: string): string | undefined => CLOSERS.find((mark) => text.endsWith(mark));
const countOf = (text: string, part: string): number => text.split(part).length - 1;

/** Brackets that the address itself opened belong to it. */
function balanced(middle: string, tail: string): [string, string] {
  for (const [open, close] of [
    ['(', ')'],
    ['<', '>'],
    ['&lt;', '&gt;'],
  ] as const) {
    const opened = countOf(middle, open);
    if (opened <= countOf(middle, close)) continue;
    for (let i = Math.min(opened, countOf(tail, close)); i > 0; i--) {
      const end = tail.indexOf(close) + close.length;
      middle += tail.slice(0, end);
      tail = tail.slice(end);
    }
  }
  return [middle, tail];
}

function linked(text: string, { limit, rel, target, schemes }: LinkOptions): string {
  if (text.length > LONGEST_WORD) return text;
  const letters = characters(text);
  const shown = limit !== null && letters.length > limit ? `${letters.slice(0, limit).join('')}...` : text;
  if (http.test(text)) {
    const href = text.startsWith('https://') || text.startsWith('http://') ? text : `https://${text}`;
    return `<a href="${href}"${rel}${target}>${shown}</a>`;
  }
  if (text.startsWith('mailto:') && email.test(text.slice(7)))
    return `<a href="${text}">${text.slice(7)}</a>`;
  const isAddress =
    text.includes('@') && !text.startsWith('www.') && !text.startsWith('@') && !text.includes(':');
  if (isAddress && email.test(text)) return `<a href="mailto:${text}">${text}</a>`;
  for (const scheme of schemes)
    if (text !== scheme && text.startsWith(scheme)) text = `<a href="${text}"${rel}${target}>${text}</a>`;
  return text;
}

const urlize: Native = (args, kwargs, runtime) => {
  const names = ['value', 'trim_url_limit?', 'nofollow?', 'target?', 'rel?', 'extra_schemes?'];
  const [value, limit = null, nofollow = false, target = null, rel = null, schemes = null] = bind(
    'do_urlize',
    names,
    args,
    kwargs,
  );
  const { budget, autoescape } = runtime;
  const text = value instanceof Markup ? value.text : escapeHtml(str(value!, budget));
  budget.text(text.length * 32);
  const attribute = (name: string, one: Value) =>
    one === null ? '' : ` ${name}="${escapeHtml(str(one, budget))}"`;
  const words = new Set([...splitAtSpaces(rel === null ? '' : str(rel, budget), 1000), 'noopener']);
  if (isTrue(nofollow)) words.add('nofollow');
  const extra = schemes === null ? [] : listOf(schemes, budget).map((scheme) => str(scheme, budget));
  for (const scheme of extra)
    if (!/^[\p{L}\p{N}_.+-]{2,}:\/{0,2}$/u.test(scheme))
      fail('FilterArgumentError', `${repr(scheme, budget)} is not a valid URI scheme prefix.`);
  const options = {
    limit: limit === null ? null : smallInteger(limit),
    rel: attribute('rel', [...words].sort().join(' ')),
    target: attribute('target', target),
    schemes: extra,
  };
  const made = pieces(text)
    .map((word) => link(word, options))
    .join('');
  return autoescape ? new Markup(made) : made;
};

export const URLIZE_FILTERS: readonly (readonly [string, Native])[] = [['urlize', urlize]];
