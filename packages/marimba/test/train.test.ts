// marimba train: the golden check's output, a run that is stopped and goes on, and what is wrong usage.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { marimba, modelPath } from './run.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'marimba-train-'));
});
after(() => rmSync(folder, { recursive: true }));

test('--verify prints eleven losses and the gradient norm', async () => {
  const { code, stdout } = await marimba(['train', '--verify', modelPath('jamba-corners'), '--json']);
  assert.equal(code, 0);
  const report = JSON.parse(stdout) as {
    losses: number[];
    gradientNorm: number;
    comparison: { ok: boolean };
  };
  assert.equal(report.losses.length, 11);
  assert.ok(Math.abs(report.gradientNorm - 6.29094) < 1e-4);
  assert.ok(report.comparison.ok);
});

test('trains from a file, goes on with more steps refused as another run, writes a model and a GGUF', async () => {
  const text = join(folder, 'text.txt');
  writeFileSync(text, 'Marimbas are struck with mallets, and xylophones too. '.repeat(50));
  const path = join(folder, 'run.json');
  const model = {
    model_type: 'jamba',
    vocab_size: 280,
    hidden_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    intermediate_size: 24,
    attn_layer_period: 2,
    attn_layer_offset: 1,
    num_experts: 1,
    num_experts_per_tok: 1,
    tie_word_embeddings: true,
  };
  writeFileSync(
    path,
    JSON.stringify({
      model,
      texts: ['text.txt'],
      output: 'run',
      steps: 4,
      sequences: 2,
      length: 16,
      warmupSteps: 1,
    }),
  );
  const { code, stdout } = await marimba(['train', path, '--gguf', '--json']);
  assert.equal(code, 0);
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; finished?: boolean });
  assert.equal(events.filter((e) => e.kind === 'step').length, 4);
  assert.equal(events.at(-1)?.finished, true);
  assert.ok(existsSync(join(folder, 'run/model/model.safetensors')));
  assert.ok(existsSync(join(folder, 'run/model.gguf')));
  const other = await marimba(['train', path, '--steps', '9']);
  assert.equal(other.code, 1);
  assert.match(other.stderr, /another model, data or settings/);
});

test('wrong usage is answered with exit code 2', async () => {
  for (const args of [[], ['--bench', '--verify', folder], [join(folder, 'missing.json')]])
    assert.equal((await marimba(['train', ...args])).code, 2, args.join(' '));
});
