// The instruments themselves; nothing here needs a peer.
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadModel } from '@marimba/engine';
import { openSource } from '@marimba/engine/node';
import { writeSynthetic } from './make-synthetic.ts';
import { stretchState } from './peer-depth.ts';
import { type Measurement, Records } from './records.ts';
import { derivedRows, formatDerived, formatReport, reportRow } from './report.ts';
import { HYBRIDS } from './synthetic-hybrids.ts';
import { JAMBA_3B, JAMBA_SMALL } from './synthetic-shapes.ts';
import { DERIVED, GROUPS } from './tasks.ts';
import { copyWithVocabulary } from './with-vocabulary.ts';

const folder = mkdtempSync(join(tmpdir(), 'marimba-bench-test-'));
after(() => rmSync(folder, { recursive: true }));

const measurement = (
  side: Measurement['side'],
  repetition: number,
  figures: Record<string, number>,
): Measurement => ({
  key: 'k',
  side,
  repetition,
  at: '2026-01-01T00:00:00.000Z',
  figures,
});

test('an interrupted run continues: what succeeded is kept, cut lines and failures are measured again', () => {
  const path = join(folder, 'records.jsonl');
  const first = new Records(path);
  first.add(measurement('ours', 0, { decode: 10 }));
  first.add({ ...measurement('peer', 0, {}), failure: 'out of memory' });
  appendFileSync(path, '{"key":"k","side":"ours","repet');
  const second = new Records(path);
  assert.deepEqual(second.find('k', 'ours', 0)?.figures, { decode: 10 });
  assert.equal(second.find('k', 'peer', 0), undefined);
  assert.equal(second.find('k', 'ours', 1), undefined);
  second.add(measurement('peer', 0, { decode: 5 }));
  assert.deepEqual(
    second.of('k', 'peer', 3).map(({ figures }) => figures),
    [{ decode: 5 }],
  );
  second.finish(join(folder, 'done.jsonl'));
  assert.equal(new Records(path).find('k', 'ours', 0), undefined);
});

test('ratios pair repetitions, and decoding is compared with the read limit of its own repetition', () => {
  const row = { id: 'decode', title: 'decode', unit: 'tokens/s', higherIsBetter: true } as const;
  const ours = [10, 30, 12].map((decode, i) =>
    measurement('ours', i, { decode, 'decode.read': decode * 1e9 }),
  );
  const peer = [5, 10, 12].map((decode, i) => measurement('peer', i, { decode }));
  const limit = [20, 40, 24].map((gigabytes, i) =>
    measurement('limit', i, { bytesPerSecond: gigabytes * 1e9 }),
  );
  const report = reportRow('m', row, { ours, peer, limit });
  assert.deepEqual(report.ratio, { min: 1, median: 2, max: 3 });
  assert.deepEqual(report.shareOfReadLimit, { min: 0.5, median: 0.5, max: 0.75 });
  assert.match(formatReport([report]), /decode +12\.0 t\/s .*2\.00×.*50 %/);
  const nearer = [measurement('ours', 0, { decode: 10, 'decode.read': 9e9, 'decode.limit': 1e10 })];
  assert.equal(reportRow('m', row, { ours: nearer, peer, limit }).shareOfReadLimit?.median, 0.9);
  const crashed = [{ ...measurement('peer', 0, {}), failure: 'crashed' }];
  const failed = reportRow('m', row, { ours, peer: crashed, limit });
  assert.equal(failed.ratio, null);
  assert.deepEqual(failed.notes, ['peer: crashed']);
});

test('what is derived is of one side and repetition', () => {
  const sessions = GROUPS.find(({ name }) => name === 'sessions')!;
  const ours = [measurement('ours', 0, { decode1: 10, decode8: 30 }), measurement('ours', 1, { decode1: 5 })];
  const peer = [measurement('peer', 0, { decode1: 12, decode8: 12 })];
  const derived = derivedRows('m', sessions, { ours, peer, limit: [] });
  assert.deepEqual(
    derived.map((row) => [row.ours?.median, row.peer?.median]),
    [[3, 1]],
  );
  assert.match(formatDerived(derived), /8 sessions ÷ 1 session +3\.00 /);
});

test('every figure that something is derived from is measured', () => {
  for (const { group, id, over } of DERIVED) {
    const rows = GROUPS.find(({ name }) => name === group)!.rows.map((row) => row.id);
    assert.ok(rows.includes(id), id);
    assert.ok(rows.includes(over) || over === 'fileBytes', over);
  }
});

/** One attention layer with rows of 2 bytes, and a recurrent cell. */
/** `plane`: cells say where they lie in a plane; `window`: a second cache of so many positions at most. */
function stateFile(count: number, { plane = false, window = 0 } = {}): Uint8Array {
  const words = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
  const range = Array.from({ length: count }, (_, i) => i);
  const rows = (size: number) => [
    words(1, 2, 0),
    Uint8Array.from(range.slice(0, size).flatMap((i) => [(i % 4) + 1, (i % 4) + 101])),
  ];
  const cache = (positions: number[]) => [
    words(1, positions.length, ...positions.flatMap((i) => (plane ? [i, 1, i, i, 0, 0] : [i, 1, 0]))),
    words(0, 1),
    ...rows(positions.length),
    ...rows(positions.length),
  ];
  return Buffer.concat([
    words(0x67677371, 3, count, ...range.map((i) => 300 + (i % 4))),
    ...cache(range),
    ...(window ? cache(range.slice(-window)) : [words(1, count - 1, 0, 0, 77)]),
  ]);
}

test('a state file of the peer is stretched by repeating what it holds', () => {
  assert.deepEqual(Buffer.from(stretchState(stateFile(4), 4)), stateFile(4));
  assert.deepEqual(Buffer.from(stretchState(stateFile(4), 10)), stateFile(10));
  for (const kind of [{ plane: true }, { window: 6 }, { plane: true, window: 6 }])
    assert.deepEqual(Buffer.from(stretchState(stateFile(4, kind), 10, 6)), stateFile(10, kind));
  const foreign = Buffer.from(stateFile(4));
  foreign[4] = 9;
  assert.throws(() => stretchState(foreign, 10), /version: expected 3, found 9/);
  assert.throws(() => stretchState(stateFile(4).subarray(0, 60), 10), /shorter than its counts say/);
});

test('a copy with a vocabulary has the same weights and gives the same logits', async () => {
  const path = join(import.meta.dirname, '../fixtures/golden/gguf/jamba-moe.q8_0.gguf');
  const copy = join(folder, 'copy.gguf');
  const checkpoint = await openSource(path, {});
  assert.equal(checkpoint.kind, 'gguf');
  if (checkpoint.kind === 'gguf') await copyWithVocabulary(checkpoint, 256, copy);
  await checkpoint.close();
  await using before = await loadModel(path, { backend: 'reference' });
  await using after = await loadModel(copy, { backend: 'reference' });
  const tokens = [5, 6, 7];
  assert.deepEqual(await after.createSession().prefill(tokens), await before.createSession().prefill(tokens));
  assert.equal(before.tokenizer, null);
  assert.ok(after.tokenizer);
});

test('the synthetic Q4_K_M mix is the one of real files', () => {
  const counts: Record<string, number> = {};
  for (const { type } of JAMBA_3B.tensors('q4_K_M')) counts[type] = (counts[type] ?? 0) + 1;
  // The embedding; of 28 ffn_down the first 3, the last 4 and every third between; the second of two attn_v.
  assert.equal(counts.Q6_K, 1 + (3 + 4 + 7) + 1);
  assert.equal(counts.Q5_0, 26, 'ssm_dt has rows of 160');
});

test('synthetic models load and compute finite numbers', async () => {
  for (const mix of ['q4_0', 'q4_K_M'] as const) {
    const path = join(folder, `${mix}.gguf`);
    await writeSynthetic(path, mix, JAMBA_SMALL);
    await using model = await loadModel(path, { threads: 2 });
    const logits = await model.createSession().prefill([300, 301, 302]);
    assert.ok(logits.every(Number.isFinite));
    assert.ok(logits.reduce((max, x) => Math.max(max, Math.abs(x)), 0) < 100);
  }
});

test('synthetic hybrids have the sizes that are published', () => {
  const millions = Object.fromEntries(
    HYBRIDS.map((blueprint) => {
      const parameters = blueprint
        .tensors('q4_K_M')
        .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
      return [blueprint.name, Math.round(parameters / 1e6)];
    }),
  );
  assert.deepEqual(millions, {
    'lfm2-1.2b': 1170,
    'qwen3.5-4b': 4206,
    'granite-4.0-h-micro': 3191,
    'falcon-h1-1.5b': 1555,
    'nemotron-3-nano-4b': 3974,
    'lfm2-350m': 354,
    'qwen3.5-0.8b': 752,
    'granite-4.0-h-350m': 340,
    'qwen3.5-9b': 8954,
  });
});
