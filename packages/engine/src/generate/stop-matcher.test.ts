import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from './random.ts';
import { createStopMatcher } from './stop-matcher.ts';

function feed(stops: readonly string[], pieces: readonly string[]) {
  const matcher = createStopMatcher(stops);
  const shown: string[] = [];
  let stop: string | null = null;
  for (const piece of pieces) {
    const match = matcher.push(piece);
    shown.push(match.text);
    stop ??= match.stop;
  }
  shown.push(matcher.end());
  return { shown, text: shown.join(''), stop };
}

/**
 * The definition, in plain: cut at the stop string that is complete first, the longest of those complete at
 * once.
 */
function reference(stops: readonly string[], text: string) {
  for (let end = 1; end <= text.length; end++) {
    const ending = stops
      .filter((stop) => text.slice(0, end).endsWith(stop))
      .sort((a, b) => b.length - a.length)[0];
    if (ending !== undefined) return { text: text.slice(0, end - ending.length), stop: ending };
  }
  return { text, stop: null };
}

function* splits(text: string): Generator<string[]> {
  for (let mask = 0; mask < 1 << (text.length - 1); mask++) {
    const pieces = [''];
    for (let i = 0; i < text.length; i++) {
      pieces[pieces.length - 1] += text[i];
      if (mask & (1 << i)) pieces.push('');
    }
    yield pieces;
  }
}

test('every split of a text gives the same text and stop string, and never half a character', () => {
  const cases: [string, string[]][] = [
    ['one END two', ['END']],
    ['aaaab tail', ['aab', 'ab t']],
    ['x\n\nUser: hi', ['\nUser:', '\n\n\n']],
    ['no stop here', ['stop!', 'here?']],
    ['abcd', ['bc', 'abcd']],
    ['say 😀😁!', ['😁']],
    ['für 你好 ok', ['你好']],
    ['a😀', ['😀b', '😁']],
  ];
  for (const [text, stops] of cases) {
    const expected = reference(stops, text);
    for (const pieces of splits(text)) {
      const got = feed(stops, pieces);
      assert.deepEqual({ text: got.text, stop: got.stop }, expected, JSON.stringify({ pieces, stops }));
      for (const piece of got.shown) assert.ok(piece.isWellFormed(), JSON.stringify(pieces));
    }
  }
});

test('random texts over a small alphabet agree with the plain definition', () => {
  const random = createRandom(3);
  const word = (length: number) => Array.from({ length }, () => 'ab😀'[Math.floor(random() * 2)]).join('');
  for (let round = 0; round < 3000; round++) {
    const stops = Array.from({ length: 1 + Math.floor(random() * 3) }, () =>
      word(1 + Math.floor(random() * 6)),
    );
    const text = word(1 + Math.floor(random() * 30));
    const pieces = text.split(/(?<=bb|aba)/);
    const got = feed(stops, pieces);
    assert.deepEqual(
      { text: got.text, stop: got.stop },
      reference(stops, text),
      JSON.stringify({ text, stops }),
    );
  }
});

test('holds back exactly what could still become a stop string', () => {
  const matcher = createStopMatcher(['</s>', '<|end|>']);
  assert.equal(matcher.push('Hello <').text, 'Hello ');
  assert.equal(matcher.push('b> and <|e').text, '<b> and ');
  assert.equal(matcher.push('x').text, '<|ex');
  assert.equal(matcher.push('tail </').text, 'tail ');
  assert.equal(matcher.end(), '</');
});

test('without stop strings everything passes at once', () => {
  const matcher = createStopMatcher([]);
  assert.deepEqual(matcher.push('anything'), { text: 'anything', stop: null });
  assert.equal(matcher.end(), '');
});

test('after a match nothing more comes out', () => {
  const matcher = createStopMatcher(['X']);
  assert.deepEqual(matcher.push('aXb'), { text: 'a', stop: 'X' });
  assert.deepEqual(matcher.push('more'), { text: '', stop: null });
  assert.equal(matcher.end(), '');
});

test('a lone surrogate becomes U+FFFD instead of passing on', () => {
  const matcher = createStopMatcher([]);
  assert.equal(matcher.push('a\ud83d').text, 'a');
  assert.equal(matcher.push('b').text, '\ufffdb');
  assert.equal(matcher.push('\ud83d').text, '');
  assert.equal(matcher.end(), '\ufffd');
});
