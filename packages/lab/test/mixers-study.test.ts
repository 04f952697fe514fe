// The study of mixers: its short version trained for real, so that every kind of mixer is trained, tested and counted;
// and the claims of the full one name what is trained.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadStudy, runStudy, writeStudyFiles } from '../src/index.ts';
import { studyCells } from '../src/tools.ts';

const folder = await mkdtemp(join(tmpdir(), 'marimba-mixers-'));
after(() => rm(folder, { recursive: true }));
const where = fileURLToPath(new URL('../../../studies/mixers', import.meta.url));

test('the short study trains every mixer and comes to its verdicts', async () => {
  const study = await loadStudy(where, { short: true });
  const { results, failures } = await runStudy(study, { out: folder, processes: 2, threadsEach: 1 });
  assert.deepEqual(failures, []);
  assert.equal(results.size, new Set(studyCells(study).map(({ cell }) => cell.id)).size);
  for (const result of results.values()) assert.equal(result.metrics.diverged, 0);
  const { verdicts } = await writeStudyFiles(study, results, folder);
  assert.deepEqual(
    verdicts.map(({ claim }) => claim.id),
    ['a', 'b', 'c', 'd', 'e'],
  );
});

test('the full study is well formed: eleven models, and claims about what is trained', async () => {
  const study = await loadStudy(where);
  assert.equal(new Set(study.models.map(({ layers }) => layers)).size, 11);
  const trained = new Set(studyCells(study).map(({ model, task }) => `${model} on ${task}`));
  for (const { id, parts } of study.claims ?? [])
    for (const { model, than, task } of parts)
      for (const name of [model, than])
        assert.ok(trained.has(`${name} on ${task}`), `claim ${id}: ${name} on ${task} is not trained`);
});
