// marimba train: the golden check's output, a run that is stopped and resumed, wrong usage.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { checkRunConfig } from '@marimba/lab';
import { trainingPage } from '../../../scripts/training-settings.ts';
import { invocation } from '../src/invocation.ts';
import { runFile } from '../src/train/init.ts';
import { finish, marimba, modelPath, start } from './run.ts';

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

test('--init writes files that train on one’s own text, and never replaces one', async () => {
  const text = join(folder, 'own.txt');
  writeFileSync(text, 'The whale is no fish, and the sea no place to argue about it. '.repeat(60));
  for (const name of ['init/run.json', 'init/run.mjs']) {
    const path = join(folder, name);
    const written = await marimba(['train', '--init', path, '--texts', text]);
    assert.equal(written.code, 0, written.stderr);
    assert.match(written.stdout, /Then: (npx )?marimba train /);
    const output = join(folder, 'init', 'out', name.slice(-4));
    const { code, stderr } = await marimba([
      'train',
      path,
      '--steps',
      '1',
      '--length',
      '16',
      '--output',
      output,
    ]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Not in the model's settings, so jamba's own: .*mamba_d_state 16/);
    const again = await marimba(['train', '--init', path]);
    assert.equal(again.code, 2);
    assert.match(again.stderr, /exists already/);
  }
});

test('docs/training.md lists the settings that exist, and its run and study are taken as they stand', async () => {
  const { found, expected } = trainingPage();
  assert.equal(found, expected, 'run node scripts/training-settings.ts');
  const [run, study] = [...found.matchAll(/```json\n(.*?)```/gs)].map((match) => match[1]!);
  checkRunConfig('docs', JSON.parse(run!) as Record<string, unknown>);
  assert.deepEqual(JSON.parse(run!), withoutComment(JSON.parse(runFile('run.json', ['text.txt']))));
  const path = join(folder, 'study.json');
  writeFileSync(path, study!);
  const { code, stdout, stderr } = await marimba(['ablate', path, '--list', '--json']);
  assert.equal(code, 0, stderr);
  assert.equal((JSON.parse(stdout) as unknown[]).length, 6);
});

const withoutComment = ({ '//': _, ...rest }: Record<string, unknown>) => rest;

test('a field that is missing is called missing, and a file that cannot be loaded says what can', async () => {
  const path = join(folder, 'without-heads.json');
  writeFileSync(
    path,
    JSON.stringify({ model: { model_type: 'jamba', hidden_size: 64 }, texts: ['text.txt'] }),
  );
  const { code, stderr } = await marimba(['train', path]);
  assert.equal(code, 1);
  assert.match(stderr, /num_attention_heads: expected .*found nothing\. The field is missing: add it/);
  const study = join(folder, 'imports.mjs');
  writeFileSync(study, "import { defineStudy } from '@nowhere/lab';\nexport default defineStudy({});\n");
  const foreign = await marimba(['ablate', study]);
  assert.equal(foreign.code, 2);
  assert.match(foreign.stderr, /A file without imports works everywhere/);
});

test('a run that is stopped says how it is resumed, with the flags that were given', async () => {
  const path = join(folder, 'stopped.json');
  const text = join(folder, 'stopped.txt');
  writeFileSync(text, 'Marimbas are struck with mallets, and xylophones too. '.repeat(50));
  await marimba(['train', '--init', path, '--texts', text]);
  const args = ['train', path, '--steps', '5000', '--length', '16', '--output', join(folder, 'stopped run')];
  const child = start(args);
  const outcome = finish(child);
  child.stderr!.on('data', (data: Buffer) => {
    if (/step 1\//.test(`${data}`)) child.kill('SIGINT');
  });
  const { code, stderr } = await outcome;
  assert.equal(code, 130, stderr);
  const command = `Resume with: ${invocation()} train ${path} --steps 5000 --length 16 --output '${folder}/stopped run'`;
  assert.ok(stderr.includes(command), stderr);
});

test('wrong usage is answered with exit code 2', async () => {
  for (const args of [[], ['--bench', '--verify', folder], [join(folder, 'missing.json')]])
    assert.equal((await marimba(['train', ...args])).code, 2, args.join(' '));
});
