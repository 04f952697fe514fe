// Every golden model of the hybrid families, loaded to be trained and saved again untouched, is the folder that
// it came from: names, shapes and values, also where tensors hold several weights or weights are read with
// factors. And its GGUF file is the one that `quantize` makes of the folder.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Checkpoint, HuggingFaceCheckpoint } from '@marimba/engine';
import { readSpec } from '@marimba/engine/architecture';
import { dequantize } from '@marimba/engine/formats';
import { openCheckpointPath, quantizeModel } from '@marimba/engine/node';
import { createBackend } from '@marimba/engine/plan';
import { loadParameters } from '../train/load-weights.ts';
import { ParameterStore } from '../train/parameters.ts';
import { exportGguf } from './gguf.ts';
import { exportHuggingFace } from './huggingface.ts';

const goldens = fileURLToPath(new URL('../../../../fixtures/golden-families/', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'marimba-families-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** A factor that a value is read with and saved without rounds twice; exp and log as GGUF has A, thrice. */
const ROUNDING = 4e-7;

async function tensorsOf(file: Checkpoint): Promise<Map<string, { shape: string; values: Float32Array }>> {
  const found = new Map<string, { shape: string; values: Float32Array }>();
  for (const { name, type, shape, source, offset, byteLength } of file.tensors.values()) {
    const raw = new Uint8Array(byteLength);
    await source.read(offset, raw);
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
    dequantize(type, raw, values);
    found.set(name, { shape: shape.join(), values });
  }
  return found;
}

async function sameTensors(path: string, expectedPath: string): Promise<void> {
  const [file, expectedFile] = [await openCheckpointPath(path), await openCheckpointPath(expectedPath)];
  try {
    const [found, expected] = [await tensorsOf(file), await tensorsOf(expectedFile)];
    assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
    for (const [name, { shape, values }] of expected) {
      assert.equal(found.get(name)!.shape, shape, name);
      values.forEach((value, i) => {
        const own = found.get(name)!.values[i]!;
        if (Math.abs(own - value) > ROUNDING * Math.abs(value))
          assert.fail(`${name}: value ${i}: expected ${value}, found ${own}`);
      });
    }
  } finally {
    await file.close();
    await expectedFile.close();
  }
}

/** What GGUF cannot say about these, or llama.cpp would not run as it was trained. */
const NO_GGUF: Readonly<Record<string, RegExp>> = {
  gemma3: /found scale 0\.22/,
  'granite-swa': /other than one rotary attention/,
  'lfm2-moe': /weightScale 1\.5/,
  'nemotron-h': /experts blocks/,
  bamba: /rotary positions in a part of each head/,
};

/** Refused by its type alone. */
function unknownFamily(checkpoint: HuggingFaceCheckpoint): boolean {
  try {
    readSpec(checkpoint);
    return false;
  } catch (error) {
    assert.match(`${error}`, /model_type: expected one of/);
    return true;
  }
}

async function loaded(checkpoint: HuggingFaceCheckpoint) {
  const { family, spec } = readSpec(checkpoint);
  const backend = await createBackend({ backend: 'reference' });
  const store = new ParameterStore(backend.arena, spec);
  await loadParameters(checkpoint, family, spec, store);
  return { spec, store, close: () => backend.close() };
}

for (const name of readdirSync(goldens).filter((one) => existsSync(join(goldens, one, 'config.json')))) {
  const folder = join(goldens, name);
  const checkpoint = await openCheckpointPath(folder);
  after(() => checkpoint.close());
  assert.equal(checkpoint.kind, 'huggingface');
  if (checkpoint.kind !== 'huggingface') continue;
  describe(`saved again: ${name}`, () => {
    if (unknownFamily(checkpoint)) return;
    it('is the same folder, and its GGUF file that of the folder', async () => {
      const { spec, store, close } = await loaded(checkpoint);
      try {
        const saved = join(root, name);
        const form = await exportHuggingFace(store, spec, checkpoint.config, saved);
        assert.deepEqual(form.reasons, []);
        assert.deepEqual(form.config.architectures, checkpoint.config.architectures);
        await sameTensors(saved, folder);
        const file = join(root, `${name}.gguf`);
        const refused = NO_GGUF[name];
        if (refused)
          await assert.rejects(exportGguf(store, spec, file), { name: 'ModelError', message: refused });
        else {
          await exportGguf(store, spec, file);
          await quantizeModel(folder, `${file}.2`, { type: 'f32', compare: false, threads: 1 });
          await sameTensors(file, `${file}.2`);
        }
      } finally {
        await close();
      }
    });
  });
}
