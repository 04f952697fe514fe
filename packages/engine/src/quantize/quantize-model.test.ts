// The whole of `quantize` on a random Jamba that every block format fits: round trips, recipes, the damage
// report, and what stops it.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { largestDifference, seeded } from '../../test/golden.ts';
import { writeSyntheticJamba } from '../../test/synthetic-folder.ts';
import { FormatError, UsageError } from '../errors.ts';
import { loadModel } from '../load-model.ts';
import { parseKeepRule } from './keep-rules.ts';
import { quantizeModel } from './quantize-model.node.ts';

let folder = '';
let source = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'marimba-quantize-'));
  source = join(folder, 'model');
  await writeSyntheticJamba(source);
});
after(() => rm(folder, { recursive: true }));

const base = { threads: 1, compare: false } as const;
const reference = { backend: 'reference', activations: 'f32', cacheType: 'f32' } as const;
const random = seeded(7);
const prompt = Array.from({ length: 24 }, () => Math.floor(random() * 512));

async function logits(path: string, quantize?: 'q4_0' | 'q4_K'): Promise<Float32Array> {
  const model = await loadModel(path, { ...reference, quantize });
  const result = await model.createSession().prefill(prompt);
  await model.close();
  return result;
}

for (const type of ['q4_0', 'q4_K'] as const) {
  test(`${type}: the file is the model that quantising while loading gives`, async () => {
    const out = join(folder, `${type}.gguf`);
    const report = await quantizeModel(source, out, { ...base, type });
    const types = new Map(report.tensors.map((t) => [t.name, t.type]));
    const wide = type === 'q4_0' ? 'Q4_0' : 'Q4_K';
    assert.equal(types.get('token_embd.weight'), 'Q6_K');
    assert.equal(types.get('blk.0.ssm_out.weight'), wide);
    assert.equal(types.get('blk.1.ffn_gate_exps.weight'), wide);
    assert.equal(types.get('blk.1.attn_v.weight'), type === 'q4_0' ? 'Q4_0' : 'Q6_K');
    assert.equal(types.get('blk.0.ssm_dt.weight'), 'Q8_0');
    assert.equal(types.get('blk.1.ffn_gate_inp.weight'), 'F32');
    assert.equal(types.get('blk.0.ssm_a'), 'F32');
    assert.ok(largestDifference(await logits(out), await logits(source, type)) < 1e-5);
    for (const { name, type: stored, relativeError } of report.tensors) {
      const [low, high] = { F32: [0, 0], Q8_0: [1e-3, 0.01], Q6_K: [0.005, 0.03] }[stored as 'F32'] ?? [
        0.03, 0.12,
      ];
      assert.ok(relativeError >= low! && relativeError <= high!, `${name} ${stored}: ${relativeError}`);
    }
  });
}

test('a lossless copy: no error, no divergence, every likeliest token the same', async () => {
  const out = join(folder, 'copy.gguf');
  const report = await quantizeModel(source, out, { ...base, type: 'f32', compare: { maxTokens: 40 } });
  assert.ok(report.tensors.every((t) => t.relativeError === 0 && t.maxError === 0));
  const { damage } = report;
  assert.equal(damage?.topAgreement, 1);
  assert.ok(damage.maxKl < 1e-9, `${damage.maxKl}`);
  assert.deepEqual([damage.positions, damage.input, damage.comparedWith], [40, 'random tokens', 'original']);
  assert.match(report.notes.join('\n'), /no tokenizer: divergence was measured on seeded random tokens/);
  assert.deepEqual(report.warnings, []);
});

test('fewer bits, more divergence; --keep brings the error of that part down; fragile parts are named', async () => {
  const run = (type: 'q2_K' | 'q4_K' | 'q8_0', ...keep: string[]) => {
    const compare = { maxTokens: 40 };
    return quantizeModel(source, join(folder, 'many.gguf'), {
      ...base,
      type,
      keep: keep.map(parseKeepRule),
      overwrite: true,
      compare,
    });
  };
  const [two, four, eight] = [await run('q2_K'), await run('q4_K'), await run('q8_0')];
  assert.ok(two.damage!.meanKl > 3 * four.damage!.meanKl, `${two.damage!.meanKl} ${four.damage!.meanKl}`);
  assert.ok(four.damage!.meanKl > 3 * eight.damage!.meanKl, `${four.damage!.meanKl} ${eight.damage!.meanKl}`);
  assert.ok(eight.damage!.meanKl > 0);
  assert.ok(four.bitsPerWeight < eight.bitsPerWeight && four.byteLength < eight.byteLength);
  const stateSpace = four.warnings.find((w) => w.keep === 'ssm_out=q8_0');
  assert.deepEqual(stateSpace?.tensors, [
    'blk.0.ssm_out.weight',
    'blk.2.ssm_out.weight',
    'blk.3.ssm_out.weight',
  ]);
  assert.deepEqual(eight.warnings, []);
  const kept = await run('q4_K', 'ssm_out=q8_0');
  assert.ok(!kept.warnings.some((w) => w.keep === 'ssm_out=q8_0'));
  assert.equal(kept.tensors.find((t) => t.name === 'blk.0.ssm_out.weight')?.type, 'Q8_0');
});

test('a tensor with outliers is named, with the rule that helps', async () => {
  const spiky = join(folder, 'spiky');
  await writeSyntheticJamba(spiky, {
    change(name, values) {
      // One weight in 32 far larger than the others, so that every block's steps are coarse.
      if (name === 'model.layers.2.mamba.in_proj.weight')
        for (let i = 0; i < values.length; i += 32) values[i] = 0.6;
    },
  });
  const { warnings } = await quantizeModel(spiky, join(folder, 'spiky.gguf'), { ...base, type: 'q4_0' });
  const found = warnings.find((w) => w.tensors.includes('blk.2.ssm_in.weight'));
  assert.equal(found?.keep, 'blk.2.ssm_in=q6_K');
  assert.equal(warnings.filter((w) => /outliers/.test(w.message)).length, 1);
});

test('requantising is said', async () => {
  const first = join(folder, 'first.gguf');
  await quantizeModel(source, first, { ...base, type: 'q8_0', overwrite: true });
  const { notes, tensors } = await quantizeModel(first, join(folder, 'second.gguf'), {
    ...base,
    type: 'q4_0',
  });
  assert.match(notes.join('\n'), /already quantised \(Q8_0\) and are quantised again/);
  assert.equal(tensors.find((t) => t.name === 'blk.0.ssm_in.weight')?.type, 'Q4_0');
});

test('16-bit sources, several threads: the same file', async () => {
  const half = join(folder, 'half');
  await writeSyntheticJamba(half, { type: 'BF16' });
  const outs = await Promise.all(
    [1, 3].map(async (threads) => {
      const out = join(folder, `threads${threads}.gguf`);
      await quantizeModel(half, out, { ...base, threads, type: 'q4_K' });
      return readFile(out);
    }),
  );
  assert.equal(Buffer.compare(outs[0]!, outs[1]!), 0);
});

test('files that are there are not overwritten unasked; the source never is', async () => {
  const out = join(folder, 'existing.gguf');
  await writeFile(out, 'precious');
  await assert.rejects(quantizeModel(source, out, { ...base, type: 'q8_0' }), (error: unknown) => {
    assert(error instanceof UsageError);
    assert.match(error.message, /expected no file of that name, found one/);
    return true;
  });
  assert.equal(await readFile(out, 'utf8'), 'precious');
  await quantizeModel(source, out, { ...base, type: 'q8_0', overwrite: true });
  const before = await readFile(out);
  await assert.rejects(
    quantizeModel(out, out, { ...base, type: 'q4_0', overwrite: true }),
    /found the same one/,
  );
  assert.equal(Buffer.compare(before, await readFile(out)), 0);
  await assert.rejects(quantizeModel(source, folder, { ...base, type: 'q8_0' }), /found a folder/);
  await assert.rejects(
    quantizeModel(source, join(folder, 'nowhere', 'x.gguf'), { ...base, type: 'q8_0' }),
    /expected a folder to write to/,
  );
});

test('damaged weights, Ctrl-C: a reason, and no file', async () => {
  const damaged = join(folder, 'damaged');
  await writeSyntheticJamba(damaged, {
    change(name, values) {
      if (name.endsWith('layers.3.mamba.out_proj.weight')) values[700] = Number.NaN;
    },
  });
  const out = join(folder, 'never.gguf');
  await assert.rejects(quantizeModel(damaged, out, { ...base, type: 'q4_0' }), (error: unknown) => {
    assert(error instanceof FormatError, String(error));
    assert.match(error.message, /out_proj.*expected finite weights, found NaN/s);
    return true;
  });
  const controller = new AbortController();
  const stopped = quantizeModel(source, out, {
    ...base,
    type: 'q4_0',
    signal: controller.signal,
    onWrite: () => controller.abort(new Error('stopped')),
  });
  await assert.rejects(stopped, /stopped/);
  assert.deepEqual(
    (await readdir(folder)).filter((name) => /never|partial|logits$/.test(name)),
    [],
  );
});

test('a text without a tokenizer is refused before anything is written', async () => {
  const out = join(folder, 'text.gguf');
  await assert.rejects(
    quantizeModel(source, out, { ...base, type: 'q8_0', compare: { text: 'Hello' } }),
    /expected a model with a tokenizer/,
  );
  assert.ok(!(await readdir(folder)).includes('text.gguf'));
});
