// What must hold between the kinds of layers, and the one arrangement of tensors.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GGUF_NAMES, OWN_NAMES } from '../architecture/roles.ts';
import { arrange, arrangedShape, restore } from './arrange.ts';
import { FEED_FORWARDS, LAYERS, MIXERS } from './index.ts';
import { vector } from './layer.ts';

test('kinds that share a role share its names, so that one table serves all of them', () => {
  for (const [kind, { ggufNames, ownNames }] of Object.entries(LAYERS)) {
    for (const [role, names] of Object.entries(ggufNames))
      assert.deepEqual(GGUF_NAMES[role as keyof typeof GGUF_NAMES], names, `${kind}: ${role} in GGUF`);
    for (const [role, names] of Object.entries(ownNames))
      assert.deepEqual(OWN_NAMES[role as keyof typeof OWN_NAMES], names, `${kind}: ${role} in folders`);
  }
});

test('letters and words mean one kind each: mixers upper case, feed-forwards lower case or none', () => {
  for (const kinds of [MIXERS, FEED_FORWARDS]) {
    const words = Object.values(kinds).flatMap(({ ownWords }) => Object.entries<string>(ownWords));
    assert.equal(new Set(words.map(([letter]) => letter)).size, words.length);
    assert.equal(new Set(words.map(([, word]) => word)).size, words.length);
    for (const [letter, word] of words) {
      assert.match(letter, kinds === MIXERS ? /^[A-Z]$/ : /^[a-z]?$/, word);
      assert.match(word, /^[a-z0-9_]+$/);
    }
  }
});

test('arrangements: channels beside each other, or blocks of four with zeros behind the last', () => {
  const values = Float32Array.from({ length: 10 }, (_, i) => i + 1); // [5][2]: channel 0 has 1 and 2
  const arranged = (order: 'transposed' | 'channelBlocks') => {
    const tensor = vector('test', [5, 2], { order });
    const out = new Float32Array(arrangedShape(tensor).count).fill(-1);
    arrange(tensor, values, out);
    assert.deepEqual(restore(tensor, out), values, `${order} and back`);
    return [...out];
  };
  assert.deepEqual(arranged('transposed'), [1, 3, 5, 7, 9, 2, 4, 6, 8, 10]);
  assert.deepEqual(arranged('channelBlocks'), [1, 3, 5, 7, 2, 4, 6, 8, 9, 0, 0, 0, 10, 0, 0, 0]);
});
