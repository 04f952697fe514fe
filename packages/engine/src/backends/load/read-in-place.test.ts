import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { openHandle } from '#platform';
import { byteLengthOf } from '../../formats/tensor-types.ts';
import type { ByteSource } from '../../formats/types.ts';
import { type LoadJob, runLoadJob } from './load-job.ts';
import { ReadingChoice, readInPlace } from './read-in-place.ts';

const PAGE = 4096;
const BYTES = Uint8Array.from({ length: 5 * 2 ** 20 + 77 }, (_, i) => (i * 2_654_435_761) >>> 13);
const folder = mkdtempSync(join(tmpdir(), 'marimba-direct-'));
const path = join(folder, 'weights');
writeFileSync(path, BYTES);
after(() => rmSync(folder, { recursive: true }));

/** A file that insists on whole pages, as disks do. */
function pagedSource(reads: [number, number][] = []): ByteSource {
  const readNow = (offset: number, into: Uint8Array) =>
    into.set(BYTES.subarray(offset, offset + into.length));
  return {
    name: 'weights',
    byteLength: BYTES.length,
    handle: null,
    readNow,
    readDirect(offset, into) {
      assert.deepEqual([offset % PAGE, into.byteOffset % PAGE, into.byteLength % PAGE], [0, 0, 0]);
      reads.push([offset, into.byteLength]);
      readNow(offset, into);
      return true;
    },
    read: async (offset, into) => readNow(offset, into),
    close: async () => {},
  };
}

describe('rows read directly into their place', () => {
  test('wherever the file and the place begin and end, and while the place is rewritten', () => {
    for (const offset of [0, 1, 32, 4095, 4096, 12_345])
      for (const address of [65_536, 65_600, 69_631, 70_000])
        for (const length of [8192, 12_288, 20_000, 123_456]) {
          const memory = new SharedArrayBuffer(65_536 * 4);
          const all = new Uint8Array(memory).fill(7);
          const place = new Uint8Array(memory, address, length);
          const copy = readInPlace(pagedSource(), offset, place);
          if (!copy) {
            assert.ok(length < 3 * PAGE, `${length} bytes hold a whole page`);
            continue;
          }
          for (let at = 0; at < length; at += 3000) {
            const piece = new Uint8Array(Math.min(3000, length - at));
            copy(offset + at, piece);
            assert.deepEqual(piece, BYTES.subarray(offset + at, offset + at + piece.length));
            place.fill(255, at, at + piece.length);
          }
          const outside = [all.subarray(0, address), all.subarray(address + length)];
          assert.ok(outside.every((part) => part.every((byte) => byte === 7)));
        }
  });

  test('a file of the disk: the same bytes, or a refusal', async () => {
    const source = await openHandle({ kind: 'path', path }, 'weights');
    const place = new Uint8Array(new WebAssembly.Memory({ initial: 20, maximum: 20, shared: true }).buffer);
    const direct = source.readDirect!(PAGE, place.subarray(0, 2 ** 20));
    if (direct) assert.deepEqual(place.slice(0, 2 ** 20), BYTES.slice(PAGE, PAGE + 2 ** 20));
    assert.equal(source.readDirect!(PAGE, place.subarray(100, 200)), false, 'no whole pages');
    assert.equal(source.readDirect!(0, place.subarray(0, PAGE)), false, 'after a refusal');
    assert.throws(
      () => source.readDirect!(BYTES.length, place.subarray(0, PAGE)),
      /expected a range inside the file/,
    );
    await source.close();
  });
});

test('a job that reads directly packs what one through the page cache packs', async () => {
  const columns = 4608;
  const rowBytes = byteLengthOf('Q4_0', columns);
  const run = async (reading: ReadingChoice, reads: [number, number][] = []) => {
    const memory = new SharedArrayBuffer(4 * 2 ** 20);
    const bytes = new Uint8Array(memory, 0, 64 * 1024);
    const job: LoadJob = {
      ...{ source: { kind: 'path', path }, name: 'test', offset: 12_345, type: 'Q4_0', target: 'Q4_0' },
      ...{ rows: 700, columns, packed: true, arena: 0, address: 131_072 + 64, matrixRows: 900, rowStart: 32 },
      runs: null,
    };
    const packing = {
      bytes,
      pack: (_: LoadJob, row: number, rows: number) => {
        const turned = bytes.slice(0, rows * rowBytes).reverse();
        new Uint8Array(memory).set(turned, job.address + (job.rowStart + row) * rowBytes);
      },
    };
    await runLoadJob(job, { memory, packing, reading, source: async () => pagedSource(reads) });
    return new Uint8Array(memory).slice(64 * 1024);
  };
  const willing = new ReadingChoice();
  for (let i = 0; i < 2; i++) willing.addBuffered(PAGE, 0.012, 0.001);
  assert.ok(willing.direct);
  const reads: [number, number][] = [];
  assert.deepEqual(await run(willing, reads), await run(new ReadingChoice()));
  assert.equal(reads.length, 1);
});

describe('the choice between the two', () => {
  const feed = (
    choice: ReadingChoice,
    count: number,
    bufferedMs: number,
    readMs: number,
    directMs: number,
  ) => {
    let direct = 0;
    for (let i = 0; i < count; i++) {
      if (choice.direct) {
        direct++;
        choice.addDirect(PAGE, directMs);
      } else choice.addBuffered(PAGE, bufferedMs, readMs);
    }
    return direct;
  };

  test('through the page cache where memory is fast, or the file was not cached', () => {
    assert.equal(feed(new ReadingChoice(), 100, 0.0015, 0.0004, 0.001), 0);
    assert.equal(feed(new ReadingChoice(), 100, 0.05, 0.038, 0.001), 0);
  });

  test('directly where faults take the time and the disk is fast', () => {
    assert.ok(feed(new ReadingChoice(), 100, 0.012, 0.0004, 0.005) >= 95);
    const slowDisk = feed(new ReadingChoice(), 100, 0.012, 0.0004, 0.03);
    assert.ok(slowDisk >= 2 && slowDisk <= 5, `${slowDisk} tries at a slow disk`);
  });

  test('a single slow job changes nothing, a disk that has become slow does', () => {
    const choice = new ReadingChoice();
    feed(choice, 20, 0.012, 0.0004, 0.005);
    choice.addDirect(PAGE, 0.5);
    assert.equal(feed(choice, 20, 0.012, 0.0004, 0.005), 20);
    assert.ok(feed(choice, 100, 0.012, 0.0004, 0.05) < 20);
    assert.ok(feed(choice, 300, 0.012, 0.0004, 0.005) > 100, 'and it gets another chance');
  });

  test('a refusal is final', () => {
    const choice = new ReadingChoice();
    feed(choice, 2, 0.012, 0.0004, 0.005);
    choice.refuseDirect();
    assert.equal(feed(choice, 500, 0.012, 0.0004, 0.005), 0);
  });
});
