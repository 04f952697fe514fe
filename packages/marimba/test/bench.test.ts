import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../../..');

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const main = join(root, 'packages/marimba/src/main.ts');
  return spawnSync(process.execPath, [main, 'bench', ...args], { cwd: root, encoding: 'utf8' });
}

test('bench --json reports what it promises, as finite figures', () => {
  const args = [
    '--prompt',
    '20',
    '--new',
    '4',
    '--sessions',
    '2',
    '--depth',
    '1K',
    '--repeat',
    '1',
    '--threads',
    '1',
  ];
  const { status, stdout, stderr } = bench('fixtures/golden/jamba-moe', ...args, '--json');
  assert.equal(status, 0, stderr);
  const result = JSON.parse(stdout) as Record<string, unknown>;
  const promised = [
    'loadMs',
    'firstTokenMs',
    'promptTokensPerSecond',
    'decodeTokensPerSecond',
    'residentBytes',
    'byteProductsPerSecond',
    'floatProductsPerSecond',
  ];
  for (const name of promised) {
    const value = result[name];
    assert.ok(typeof value === 'number' && Number.isFinite(value) && value > 0, `${name}: found ${value}`);
  }
  const { profile, shareOfLimits } = result.decode as {
    profile: { layer: string; kind: string; share: number; leastMs: number }[];
    shareOfLimits: number;
  };
  assert.ok(shareOfLimits > 0);
  for (const kind of ['linear', 'attention', 'selectiveScan']) {
    const lines = profile.filter((line) => line.kind === kind);
    assert.ok(lines.length > 0 && lines.every(({ leastMs }) => leastMs > 0), kind);
  }
  assert.ok(Math.abs(profile.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9);
  assert.ok(profile.some(({ layer, kind }) => layer === 'mamba' && kind === 'selectiveScan'));
});

test('bench refuses what cannot be measured', () => {
  const { status, stderr } = bench('fixtures/golden/jamba-moe', '--new', '0');
  assert.equal(status, 2);
  assert.match(stderr, /whole number of at least 1/);
  const deep = bench('fixtures/golden/jamba-moe', '--depth', '4000', '--repeat', '1');
  assert.equal(deep.status, 2);
  assert.match(deep.stderr, /fit into the context of 4096 tokens together, found 4000 \+ 256 \+ 48/);
  const missing = bench('./no-such-model.gguf');
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /no-such-model\.gguf: expected a model/);
});
