// Rows that make up a weight, against the same said row by row.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  composeRuns,
  countRows,
  halvesOfPairs,
  layoutRows,
  pairsOfHalves,
  type RowRun,
  readRuns,
  rowNumbers,
  rowScales,
  run,
  sliceRuns,
  takenRows,
} from './rows.ts';

const numbers = (runs: readonly RowRun[]) => [...rowNumbers(runs)].map(({ row }) => row);
const LAYOUT = { blocks: 3, sections: [2, 5, 1], take: [1, 0] };

test('sections are gathered over all blocks, one after the other', () => {
  assert.equal(layoutRows(LAYOUT), 24);
  assert.deepEqual(
    numbers(takenRows(LAYOUT)),
    [2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 18, 19, 20, 21, 22, 0, 1, 8, 9, 16, 17],
  );
  assert.deepEqual(takenRows({ blocks: 4, sections: [3], take: [0] }), [run(0, 12)], 'all of it is one run');
});

test('any slice of runs is the slice of their rows, with their factors', () => {
  const runs = takenRows(LAYOUT).map((one, i) => ({ ...one, scale: i + 2 }));
  const all = [...rowNumbers(runs)];
  for (let start = 0; start <= all.length; start++)
    for (let count = 0; start + count <= all.length; count++) {
      const slice = sliceRuns(runs, start, count);
      assert.deepEqual([...rowNumbers(slice)], all.slice(start, start + count), `${start} ${count}`);
      assert.equal(countRows(slice), count);
      const scaleOf = rowScales(slice);
      for (let i = 0; i < count; i++) assert.equal(scaleOf(i), all[start + i]!.scale);
    }
});

test('rows of rows, of one run and of several', () => {
  const outer = takenRows({ blocks: 3, sections: [4, 3], take: [1, 0] }).map((one) => ({ ...one, scale: 3 }));
  for (const inner of [[run(5, 21, 2)], takenRows(LAYOUT).map((one) => ({ ...one, scale: 2 }))]) {
    const found = [...rowNumbers(composeRuns(outer, inner))];
    assert.deepEqual(
      found.map(({ row }) => row),
      numbers(outer).map((row) => numbers(inner)[row]),
    );
    assert.ok(found.every(({ scale }) => scale === 6));
  }
});

test('pairs of RoPE and halves of heads undo each other', () => {
  assert.deepEqual(numbers(halvesOfPairs(12, 6)), [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
  const there = numbers(pairsOfHalves(12, 6));
  assert.deepEqual(
    numbers(composeRuns(halvesOfPairs(12, 6), [run(0, 12)])).map((i) => there[i]),
    [...Array(12).keys()],
  );
});

test('reads near rows in one piece and far ones one by one', async () => {
  const file = Uint8Array.from({ length: 3 + 700 }, (_, i) => (i * 31) & 255);
  for (const [every, expected] of [
    [7, 1],
    [80, 4],
  ] as const) {
    const runs = [{ row: 9, rows: 3, times: 3, every, scale: 1 }, run(1, 2)];
    let reads = 0;
    const bytes = await readRuns(runs, 4, 3, (offset, into) => {
      reads++;
      into.set(file.subarray(offset, offset + into.length));
    });
    const rows = numbers(runs).flatMap((row) => [...file.subarray(3 + row * 4, 3 + row * 4 + 4)]);
    assert.deepEqual([...bytes], rows);
    assert.equal(reads, expected);
  }
});
