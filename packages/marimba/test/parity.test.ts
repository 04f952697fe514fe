// The numbers that leave the command line are the golden ones of Hugging Face's own code, for every model and
// backend.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { golden, largestDifference, MODELS, marimba, modelPath, readFloats, root } from './run.ts';

const TOLERANCE = 3e-4;
/** Which flags, and whether all rows of a prompt of 33 or the last of a prompt of 200 are asked for. */
const RUNS: readonly { flags: string[]; all: boolean }[] = [
  { flags: ['--backend', 'reference'], all: true },
  { flags: ['--kernels', 'relaxed', '--threads', '2'], all: false },
  { flags: ['--kernels', 'baseline', '--threads', '1'], all: true },
];

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'marimba-'));
});
after(() => rmSync(folder, { recursive: true }));

for (const name of MODELS) {
  const { prompts, logits_last, greedy } = golden(name);

  test(`logits of ${name} on every backend`, async () => {
    for (const { flags, all } of RUNS) {
      const output = join(folder, `${name}.f32`);
      const tokens = prompts[all ? 'len33' : 'len200']!.join(',');
      const rows = all ? ['--all'] : [];
      const result = await marimba([
        'logits',
        modelPath(name),
        '--tokens',
        tokens,
        '--output',
        output,
        ...flags,
        ...rows,
      ]);
      assert.equal(result.code, 0, result.stderr);
      assert.equal(result.stdout, '');
      const expected = all ? readFloats(`${root}/${modelPath(name)}/logits_len33.f32`) : logits_last.len200!;
      const difference = largestDifference(readFloats(output), expected);
      assert.ok(difference <= TOLERANCE, `${flags.join(' ')}: differs by ${difference}`);
    }
  });

  test(`generate --json gives the greedy tokens of ${name}`, async () => {
    const tokens = prompts.len33!.join(',');
    const exact = ['--temperature', '0', '--activations', 'f32', '--cache-type', 'f32'];
    const args = [
      'generate',
      modelPath(name),
      '--tokens',
      tokens,
      '--max-tokens',
      '32',
      '--ignore-eos',
      '--json',
    ];
    const { code, stdout, stderr } = await marimba([...args, ...exact]);
    assert.equal(code, 0, stderr);
    const result = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual(result.tokens, greedy.len33!.tokens);
    assert.equal(result.finishReason, 'length');
    assert.deepEqual(result.usage, { promptTokens: 33, reusedTokens: 0, generatedTokens: 32 });
    for (const key of ['text', 'timings', 'reuse', 'seed']) assert.ok(key in result, key);
  });
}

test('logits without --output lists the most likely tokens, best first', async () => {
  const { prompts, logits_last } = golden('jamba-moe');
  const tokens = prompts.len7!.join(',');
  const { code, stdout } = await marimba(['logits', modelPath('jamba-moe'), '--tokens', tokens, '--json']);
  assert.equal(code, 0);
  const { top, shape } = JSON.parse(stdout) as {
    shape: number[];
    top: { token: number; probability: number }[];
  };
  assert.deepEqual(shape, [1, 256]);
  assert.equal(top.length, 10);
  const best = logits_last.len7!.indexOf(Math.max(...logits_last.len7!));
  assert.equal(top[0]!.token, best);
  assert.ok(top.every(({ probability }, i) => i === 0 || probability <= top[i - 1]!.probability));
});
