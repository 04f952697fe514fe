// Training steps against torch's: losses, and the norm of every gradient, of every golden run that there is.
import assert from 'node:assert/strict';
import { existsSync, globSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type VerifyOptions, verifyTraining } from './verify.ts';

const fixtures = fileURLToPath(new URL('../../../../fixtures', import.meta.url));
const folders = globSync(`${fixtures}/golden*/*/golden-train.json`).map(dirname).sort();

const BACKENDS: Record<string, VerifyOptions> = {
  'reference, 3 steps': { backend: 'reference', steps: 3 }, // ten take it a minute and a half
  'relaxed, 2 threads': { variant: 'relaxed', threads: 2 },
  'baseline, 1 thread': { variant: 'baseline', threads: 1 },
};

describe('training agrees with torch', () => {
  it('has the golden runs', () => {
    assert.ok(existsSync(`${fixtures}/golden/jamba-moe/golden-train.json`));
    assert.ok(folders.length >= 9, `found ${folders.length}`);
  });
  for (const folder of folders) {
    for (const [backend, options] of Object.entries(BACKENDS)) {
      it(`${basename(folder)}, ${backend}`, async () => {
        const { comparison } = await verifyTraining(folder, options);
        assert.ok(comparison?.ok, JSON.stringify(comparison));
      });
    }
  }
});
