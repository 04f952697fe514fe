// Against llama.cpp's own converter (fixtures/golden/gguf): the same names, shapes, formats, bytes and
// metadata.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  GOLDEN_MODELS,
  ggufFile,
  largestDifference,
  modelFolder,
  PROMPTS,
  readGgufGolden,
  readGolden,
  TOLERANCE,
} from '../../test/golden.ts';
import { writeGguf } from '../export/write-gguf.node.ts';
import { openCheckpointPath } from '../formats/checkpoint.node.ts';
import { dequantize } from '../formats/dequantize.ts';
import type { GgufCheckpoint, TensorEntry } from '../formats/types.ts';
import { loadModel } from '../load-model.ts';
import type { FileType } from '../weights/recipe.ts';
import { planOutput } from './plan-output.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'marimba-quantize-'));
});
after(() => rm(folder, { recursive: true }));

async function convert(source: string, type: FileType, out: string): Promise<void> {
  const checkpoint = await openCheckpointPath(source);
  try {
    await writeGguf(await planOutput(checkpoint, { type }), out, { threads: 1, overwrite: true });
  } finally {
    await checkpoint.close();
  }
}

async function openGguf(path: string): Promise<GgufCheckpoint> {
  const checkpoint = await openCheckpointPath(path);
  assert(checkpoint.kind === 'gguf');
  return checkpoint;
}

async function bytesOf({ source, offset, byteLength }: TensorEntry): Promise<Uint8Array> {
  const bytes = new Uint8Array(byteLength);
  await source.read(offset, bytes);
  return bytes;
}

function valuesOf(tensor: TensorEntry, bytes: Uint8Array): Float32Array {
  const values = new Float32Array(tensor.shape.reduce((a, b) => a * b, 1));
  dequantize(tensor.type, bytes, values);
  return values;
}

/**
 * A is computed with exp, whose last bit differs between C libraries; codes of Q8_0 may differ where two are
 * as near.
 */
async function compareTensor(ours: TensorEntry, theirs: TensorEntry): Promise<void> {
  const [a, b] = [await bytesOf(ours), await bytesOf(theirs)];
  if (Buffer.compare(a, b) === 0) return;
  const [x, y] = [valuesOf(ours, a), valuesOf(theirs, b)];
  if (ours.name.endsWith('.ssm_a')) {
    for (let i = 0; i < x.length; i++)
      assert.ok(Math.abs(x[i]! - y[i]!) <= 1.2e-7 * Math.abs(y[i]!), `${ours.name}[${i}]`);
    return;
  }
  assert.equal(ours.type, 'Q8_0', `${ours.name}: bytes differ`);
  const largest = y.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  assert.ok(largestDifference(x, y) <= (1.01 * largest) / 127, ours.name);
}

for (const name of GOLDEN_MODELS) {
  for (const type of ['f32', 'f16', 'q8_0'] as const) {
    test(`${name} as ${type}: what llama.cpp's converter writes`, async () => {
      const out = join(folder, `${name}.${type}.gguf`);
      await convert(modelFolder(name), type, out);
      const [ours, theirs] = [await openGguf(out), await openGguf(ggufFile(name, type))];
      for (const [key, value] of theirs.typedMetadata)
        assert.deepEqual(ours.typedMetadata.get(key), value, key);
      const extra = [...ours.metadata.keys()].filter((key) => !theirs.metadata.has(key));
      assert.deepEqual(
        extra.filter((key) => !key.endsWith('.vocab_size')),
        [],
      );
      assert.deepEqual([...ours.tensors.keys()].sort(), [...theirs.tensors.keys()].sort());
      for (const [tensorName, tensor] of ours.tensors) {
        const other = theirs.tensors.get(tensorName)!;
        assert.deepEqual([tensor.type, tensor.shape], [other.type, other.shape], tensorName);
        await compareTensor(tensor, other);
      }
      await Promise.all([ours.close(), theirs.close()]);
    });
  }

  test(`${name}: logits of the file that was written`, async () => {
    const out = join(folder, `${name}.f16.gguf`);
    const model = await loadModel(out, { backend: 'reference', cacheType: 'f32', activations: 'f32' });
    const { prompts } = readGolden(name);
    const { logits_last } = readGgufGolden(name, 'f16');
    for (const prompt of PROMPTS.slice(0, 3)) {
      const logits = await model.createSession().prefill(prompts[prompt]);
      assert.ok(largestDifference(logits, logits_last[prompt]) < TOLERANCE, prompt);
    }
    await model.close();
  });

  test(`${name}: a GGUF file in its own type comes out with the same tensors and metadata`, async () => {
    const out = join(folder, `${name}.again.gguf`);
    await convert(ggufFile(name, 'q8_0'), 'q8_0', out);
    const [ours, theirs] = [await openGguf(out), await openGguf(ggufFile(name, 'q8_0'))];
    assert.deepEqual(ours.typedMetadata, theirs.typedMetadata);
    assert.deepEqual([...ours.tensors.keys()], [...theirs.tensors.keys()]);
    for (const [tensorName, tensor] of ours.tensors)
      assert.deepEqual(await bytesOf(tensor), await bytesOf(theirs.tensors.get(tensorName)!), tensorName);
    await Promise.all([ours.close(), theirs.close()]);
  });
}

test('nothing half-written stays behind', async () => {
  assert.deepEqual(
    (await readdir(folder)).filter((file) => !file.endsWith('.gguf')),
    [],
  );
});
