// The heap against the definition: merge the best pair of the whole word again and again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MergeList, Merger, MergeTable } from './bpe.ts';
import { BpeModel } from './bpe-model.ts';

interface Merge {
  readonly left: string;
  readonly right: string;
  readonly leftId: number;
  readonly rightId: number;
  readonly rank: number;
  readonly result: number;
}

function listOf(merges: readonly Merge[]): MergeList {
  const list = new MergeList();
  for (const { leftId, rightId, rank, result } of merges) list.add(leftId, rightId, rank, result);
  return list;
}

function randomFrom(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

/** A vocabulary over a few letters: entries are random joins of earlier ones. Ranks repeat where `ties`. */
function randomMerges(random: () => number, count: number, ties: boolean) {
  const ids = new Map([...'abc▁'].map((letter, id) => [letter, id]));
  const merges: Merge[] = [];
  for (let rank = 0; rank < count; rank++) {
    const texts = [...ids.keys()];
    const left = texts[Math.floor(random() * texts.length)]!;
    const right = texts[Math.floor(random() * texts.length)]!;
    if (merges.some((merge) => merge.left === left && merge.right === right)) continue;
    if (!ids.has(left + right)) ids.set(left + right, ids.size);
    const result = ids.get(left + right)!;
    merges.push({
      left,
      right,
      leftId: ids.get(left)!,
      rightId: ids.get(right)!,
      rank: ties ? rank >> 2 : rank,
      result,
    });
  }
  return { ids, merges };
}

function mergeByDefinition(symbols: number[], merges: readonly Merge[]): number[] {
  const all = [...symbols];
  for (;;) {
    let best: { at: number; merge: Merge } | null = null;
    for (let at = 0; at + 1 < all.length; at++) {
      const merge = merges.find(({ leftId, rightId }) => leftId === all[at] && rightId === all[at + 1]);
      if (merge !== undefined && (best === null || merge.rank < best.merge.rank)) best = { at, merge };
    }
    if (best === null) return all;
    all.splice(best.at, 2, best.merge.result);
  }
}

for (const ties of [false, true]) {
  test(`random words over random merges${ties ? ' with equal ranks' : ''} equal the definition`, () => {
    const random = randomFrom(ties ? 11 : 5);
    for (let round = 0; round < 40; round++) {
      const { ids, merges } = randomMerges(random, 3 + Math.floor(random() * 30), ties);
      const table = new MergeTable(merges.length);
      for (const { leftId, rightId, rank, result } of merges) table.add(leftId, rightId, rank, result);
      const merger = new Merger(table);
      const vocabulary = ids;
      const model = new BpeModel({
        vocabulary,
        merges: listOf(merges),
        byteLevel: false,
        byteFallback: false,
        unknown: null,
        fuseUnknown: false,
        ignoreMerges: false,
      });
      for (let i = 0; i < 20; i++) {
        const word = Array.from(
          { length: Math.floor(random() * 60) },
          () => 'abc▁'[Math.floor(random() * 4)]!,
        ).join('');
        const symbols = Array.from(word, (letter) => ids.get(letter)!);
        const expected = mergeByDefinition(symbols, merges);
        merger.symbols(symbols.length).set(symbols);
        const count = merger.merge(symbols.length);
        assert.deepEqual([...merger.symbols(0).subarray(0, count)], expected, word);
        const out: number[] = [];
        if (word !== '') model.encodeWord(word, out);
        assert.deepEqual(out, expected, `in cuts: ${word}`);
      }
    }
  });
}

test('the same pair twice keeps its first rank; other pairs are not found', () => {
  const table = new MergeTable(2);
  table.add(1, 2, 7, 9);
  table.add(1, 2, 3, 8);
  assert.equal(table.rank(table.find(1, 2)), 7);
  assert.equal(table.result(table.find(1, 2)), 9);
  assert.ok(table.find(2, 1) < 0);
});

test('unknown characters fuse within a word, across its cuts, and not across words', () => {
  const vocabulary = new Map([
    ['a', 1],
    ['b', 2],
    ['ab', 3],
  ]);
  const merges = [{ left: 'a', right: 'b', leftId: 1, rightId: 2, rank: 0, result: 3 }];
  const options = {
    vocabulary,
    merges: listOf(merges),
    byteLevel: false,
    byteFallback: false,
    unknown: 0,
    ignoreMerges: false,
  };
  const out: number[] = [];
  const fusing = new BpeModel({ ...options, fuseUnknown: true });
  fusing.encodeWord('abxyzab', out);
  fusing.encodeWord('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxa', out);
  fusing.encodeWord('x', out);
  fusing.encodeWord('x', out);
  assert.deepEqual(out, [3, 0, 3, 0, 1, 0, 0]);
  out.length = 0;
  new BpeModel({ ...options, fuseUnknown: false }).encodeWord('axxb', out);
  assert.deepEqual(out, [1, 0, 0, 2]);
});
