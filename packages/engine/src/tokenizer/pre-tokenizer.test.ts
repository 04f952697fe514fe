// Splitting and normalising, with the outputs that the unit tests of huggingface/tokenizers (Rust) state.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormatError } from '../errors.ts';
import { Place } from './json-fields.ts';
import { parseNormalizer } from './normalizer.ts';
import { parsePreTokenizer } from './pre-tokenizer.ts';

const place = new Place('tokenizer.json', 'pre_tokenizer');
const words = (component: unknown, text: string, atStart = true) =>
  parsePreTokenizer(component, place).split!(text, atStart);
const split = (behavior: string, invert = false) => ({
  type: 'Split',
  pattern: { String: '-' },
  behavior,
  invert,
});

test('Split: the five behaviours', () => {
  const text = 'the-final--countdown';
  assert.deepEqual(words(split('Removed'), text), ['the', 'final', 'countdown']);
  assert.deepEqual(words(split('Isolated'), text), ['the', '-', 'final', '-', '-', 'countdown']);
  assert.deepEqual(words(split('MergedWithPrevious'), text), ['the-', 'final-', '-', 'countdown']);
  assert.deepEqual(words(split('MergedWithNext'), text), ['the', '-final', '-', '-countdown']);
  assert.deepEqual(words(split('Contiguous'), text), ['the', '-', 'final', '--', 'countdown']);
  assert.deepEqual(words(split('Removed', true), text), ['-', '-', '-']);
});

test('Metaspace: spaces become ▁, which begins a word', () => {
  const metaspace = (options: object) => ({ type: 'Metaspace', replacement: '▁', ...options });
  assert.deepEqual(words(metaspace({ prepend_scheme: 'always' }), 'Hey   friend'), [
    '▁Hey',
    '▁',
    '▁',
    '▁friend',
  ]);
  assert.deepEqual(words(metaspace({ prepend_scheme: 'first' }), 'Hey', false), ['Hey']);
  assert.deepEqual(words(metaspace({ prepend_scheme: 'first' }), 'Hey', true), ['▁Hey']);
  assert.deepEqual(words(metaspace({ prepend_scheme: 'never', split: false }), 'a b'), ['a▁b']);
  assert.deepEqual(words(metaspace({ add_prefix_space: false }), ' a'), ['▁a']);
});

test('Digits, Punctuation, whitespace', () => {
  assert.deepEqual(words({ type: 'Digits', individual_digits: true }, 'Hey 123!'), [
    'Hey ',
    '1',
    '2',
    '3',
    '!',
  ]);
  assert.deepEqual(words({ type: 'Digits', individual_digits: false }, 'Hey 123!'), ['Hey ', '123', '!']);
  assert.deepEqual(words({ type: 'Punctuation' }, 'Hey friend!  a?!?'), [
    'Hey friend',
    '!',
    '  a',
    '?',
    '!',
    '?',
  ]);
  assert.deepEqual(words({ type: 'WhitespaceSplit' }, 'Hey  man, ok'), ['Hey', 'man,', 'ok']);
  assert.deepEqual(words({ type: 'Whitespace' }, 'How are-you?'), ['How', 'are', '-', 'you', '?']);
  assert.deepEqual(words({ type: 'BertPreTokenizer' }, 'Hey, man'), ['Hey', ',', 'man']);
});

test('ByteLevel as a step of its own writes byte characters', () => {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: true, use_regex: true };
  const digits = { type: 'Digits' };
  assert.deepEqual(words({ type: 'Sequence', pretokenizers: [byteLevel, digits] }, 'é is'), ['ĠÃ©', 'Ġis']);
  assert.equal(parsePreTokenizer(byteLevel, place).byteLevel, true);
});

test('normalizers', () => {
  const at = new Place('tokenizer.json', 'normalizer');
  const normalize = (component: unknown, text: string) => parseNormalizer(component, at)!(text);
  const sequence = (...normalizers: object[]) => ({ type: 'Sequence', normalizers });
  assert.equal(normalize({ type: 'NFC' }, 'e\u0301'), 'é');
  assert.equal(normalize({ type: 'NFKC' }, 'ﬁ'), 'fi');
  assert.equal(normalize(sequence({ type: 'NFD' }, { type: 'StripAccents' }), 'Ünï'), 'Uni');
  assert.equal(normalize({ type: 'Lowercase' }, 'ΣΑΣ'), 'σασ');
  assert.equal(normalize({ type: 'Strip', strip_left: true, strip_right: false }, '\u0085 a '), 'a ');
  assert.equal(normalize({ type: 'Replace', pattern: { Regex: '\\s+' }, content: '$&$1' }, 'a  b'), 'a$&$1b');
  assert.equal(normalize({ type: 'Prepend', prepend: '▁' }, 'a'), '▁a');
  assert.equal(normalize({ type: 'Prepend', prepend: '▁' }, ''), '');
  const doubling = { type: 'Replace', pattern: { String: 'a' }, content: 'aa' };
  assert.throws(() => normalize(sequence(...Array(60).fill(doubling)), 'aaaaaaaaaaaa'), FormatError);
});

test('a word of millions of characters does not overflow the expression engine', () => {
  const pattern = { Regex: ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s+(?!\\S)|\\s+' };
  const text = '<'.repeat(5_000_000);
  const cut = words({ type: 'Split', pattern, behavior: 'Isolated', invert: false }, text);
  assert.ok(cut.join('') === text);
  assert.ok(cut.every((word) => word.length > 65_000));
});
