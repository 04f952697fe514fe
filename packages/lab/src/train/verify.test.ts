// The golden training runs: first loss, gradient of every tensor and ten AdamW steps of an independent
// implementation.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { verifyTraining } from './verify.ts';

const golden = fileURLToPath(new URL('../../../../fixtures/golden/', import.meta.url));
const MODELS = ['jamba-dense-mqa', 'jamba-moe', 'jamba-period4', 'jamba-corners', 'mamba-tiny', 'llama-tiny'];
const root = mkdtempSync(join(tmpdir(), 'marimba-verify-'));
after(() => rmSync(root, { recursive: true, force: true }));

describe('golden training runs', () => {
  for (const name of MODELS) {
    it(`${name}: losses within 1e-3, gradient norms within 1e-2`, async () => {
      const report = await verifyTraining(join(golden, name), { threads: 2 });
      assert.equal(report.losses.length, 11);
      assert.ok(report.comparison?.ok, JSON.stringify(report.comparison));
      const { gradients } = JSON.parse(readFileSync(join(golden, name, 'golden-train.json'), 'utf8')) as {
        gradients: Record<string, unknown>;
      };
      assert.deepEqual(Object.keys(report.gradients).sort(), Object.keys(gradients).sort());
    });
  }

  it('on the reference, with values computed again', async () => {
    const report = await verifyTraining(join(golden, 'jamba-corners'), {
      backend: 'reference',
      recompute: true,
      steps: 2,
    });
    assert.ok(report.comparison?.ok, JSON.stringify(report.comparison));
  });

  it('notices a wrong golden value, and runs without any', async () => {
    const folder = join(root, 'llama');
    cpSync(join(golden, 'llama-tiny'), folder, { recursive: true });
    const path = join(folder, 'golden-train.json');
    const json = JSON.parse(readFileSync(path, 'utf8')) as { losses: number[] };
    json.losses[3] = json.losses[3]! * 1.01;
    writeFileSync(path, JSON.stringify(json));
    assert.equal((await verifyTraining(folder, { threads: 1 })).comparison?.ok, false);
    rmSync(path);
    const report = await verifyTraining(folder, { threads: 1 });
    assert.equal(report.comparison, null);
    assert.equal(report.losses.length, 11);
  });

  it('takes batches of other shapes, and prints eleven losses whatever the golden run has', async () => {
    const folder = join(root, 'shapes');
    cpSync(join(golden, 'jamba-moe'), folder, { recursive: true });
    writeFileSync(
      join(folder, 'golden-train.json'),
      JSON.stringify({
        tokens: [[1, 2, 3], [4, 5], Array.from({ length: 130 }, (_, i) => i)],
        losses: [5, 5],
      }),
    );
    const report = await verifyTraining(folder, { threads: 1 });
    assert.equal(report.losses.length, 11);
    assert.equal(report.comparison?.ok, false);
  });

  it('says what is wrong with a golden run', async () => {
    const folder = join(root, 'damaged');
    cpSync(join(golden, 'mamba-tiny'), folder, { recursive: true });
    for (const [content, message] of [
      ['{"tokens": [[1, 2', /golden-train.json: expected a golden run as a JSON object/],
      ['null', /expected a golden run as a JSON object, found null/],
      ['{"tokens": [[1]]}', /tokens: expected lists of at least 2/],
      ['{"tokens": [[1, 99999]]}', /tokens: expected ids from 0 to \d+, which the model has, found 99999/],
    ] as const) {
      writeFileSync(join(folder, 'golden-train.json'), content);
      await assert.rejects(verifyTraining(folder, { threads: 1 }), message);
    }
  });
});
