// The short version of the finished study, trained for real over processes: every model, task, claim and
// figure is gone through.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadStudy, readResults, runStudy, writeStudyFiles } from '../src/index.ts';
import { studyCells } from '../src/tools.ts';

const folder = await mkdtemp(join(tmpdir(), 'marimba-claims-'));
after(() => rm(folder, { recursive: true }));
const where = fileURLToPath(new URL('../../../studies/jamba-claims', import.meta.url));

test('the short study runs to its verdicts, stopped in the middle and resumed', async () => {
  const study = await loadStudy(where, { short: true });
  const placed = studyCells(study);
  const stop = new AbortController();
  let finished = 0;
  const options = { out: folder, processes: 2, threadsEach: 1 };
  const halfway = {
    ...options,
    signal: stop.signal,
    onFinished: () => void (++finished === 8 && stop.abort()),
  };
  await assert.rejects(runStudy(study, halfway));
  const before = await readResults(folder);
  assert.ok(before.size >= 8 && before.size < placed.length);
  const { results, failures, computed } = await runStudy(study, options);
  assert.deepEqual(failures, []);
  assert.equal(computed, new Set(placed.map((p) => p.cell.id)).size - before.size);
  for (const [id, result] of before) assert.deepEqual(results.get(id), result);
  for (const result of results.values()) {
    assert.equal(result.metrics.diverged, 0);
    assert.ok(result.trainingMs > 0 && result.trainingFlops > 0 && result.parameters > 1000);
  }
  const { verdicts, rows, reportPath } = await writeStudyFiles(study, results, folder);
  assert.deepEqual(
    verdicts.map((v) => v.claim.id),
    ['a', 'b', 'c', 'd', 'e', 'f', 'g'],
  );
  assert.ok(rows.every((row) => row.quality.count === study.seeds.length));
  const html = await readFile(reportPath, 'utf8');
  assert.ok(html.includes('Short version') && !/NaN|undefined/.test(html));
});

test('training learns: a short run on text ends well below where it began', async () => {
  const study = await loadStudy(where, { short: true });
  const results = await readResults(folder);
  const cell = studyCells(study).find((p) => p.model === 'Mamba' && p.task === 'text')!.cell;
  const { curve } = results.get(cell.id)!;
  assert.ok(curve[0]! < Math.log(300) + 0.5 && curve.at(-1)! < curve[0]! - 0.15, `${curve}`);
});

test('the full study is well formed: every claim names models and tasks that are trained', async () => {
  const study = await loadStudy(where);
  const trained = new Set(studyCells(study).map((p) => `${p.model} on ${p.task}`));
  for (const { id, parts } of study.claims ?? [])
    for (const { model, than, task } of parts)
      for (const name of [model, than])
        assert.ok(trained.has(`${name} on ${task}`), `claim ${id}: ${name} on ${task} is not trained`);
});
