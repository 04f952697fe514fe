// marimba quantize, as a user runs it.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { marimba, modelPath } from './run.ts';

const MODEL = modelPath('jamba-dense-mqa');

test('quantize writes a file that inspect and generate read, and reports the damage', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'marimba-quantize-'));
  t.after(() => rm(folder, { recursive: true }));
  const out = join(folder, 'out.gguf');
  const args = ['quantize', MODEL, out, '--type', 'q4_0', '--keep', 'ssm_out=q8_0', '--tokens', '32'];
  const written = await marimba([...args, '--json']);
  assert.equal(written.code, 0, written.stderr);
  const report = JSON.parse(written.stdout);
  const types = new Map(
    report.tensors.map((tensor: { name: string; type: string }) => [tensor.name, tensor.type]),
  );
  assert.equal(types.get('blk.0.ssm_out.weight'), 'Q8_0');
  assert.equal(types.get('blk.0.ssm_in.weight'), 'Q4_0');
  assert.equal(report.damage.positions, 32);
  assert.ok(report.damage.meanKl > 0 && report.damage.topAgreement > 0.2);
  assert.match(written.stderr, /Quantising/);
  const logits = await marimba(['logits', out, '--tokens', '1,2,3', '--json']);
  assert.equal(logits.code, 0, logits.stderr);
  const again = await marimba(args);
  assert.equal(again.code, 2);
  assert.match(again.stderr, /expected no file of that name, found one.*--force/s);
  const forced = await marimba([...args, '--force', '--no-compare']);
  assert.equal(forced.code, 0, forced.stderr);
  assert.match(forced.stdout, /ssm_in\.weight +13 +F32 → Q4_0/);
  assert.doesNotMatch(forced.stdout, /Whole model/);
  assert.deepEqual(await readdir(folder), ['out.gguf']);
});

test('wrong usage of quantize ends with 2 and says what would be right', async () => {
  const wrong: readonly (readonly [string[], RegExp])[] = [
    [[], /--type <TYPE>' not specified/],
    [['--type', 'q9'], /expected one of q8_0, q4_0/],
    [['--type', 'q4_0', '--keep', 'ssm_out'], /expected PATTERN=TYPE/],
    [['--type', 'q4_0', '--keep', 'nothing=q8_0'], /Matrices: token_embd, ssm_in/],
  ];
  for (const [args, message] of wrong) {
    const { code, stderr } = await marimba(['quantize', MODEL, join(tmpdir(), 'never.gguf'), ...args]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  }
});
