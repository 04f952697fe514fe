// Falcon-H1 beyond its goldens: what its GGUF files say and cannot say, tied heads with factors, 16-bit folders.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { falconH1 } from '../src/architecture/families/falcon-h1.ts';
import { writeGguf } from '../src/export/write-gguf.node.ts';
import { openCheckpointPath } from '../src/formats/checkpoint.node.ts';
import { ConfigReader } from '../src/formats/config-reader.ts';
import { loadModel } from '../src/index.ts';
import { planOutput } from '../src/quantize/plan-output.ts';
import { largestDifference } from './golden.ts';
import { familyPath } from './golden-families.ts';

const root = mkdtempSync(join(tmpdir(), 'marimba-falcon-'));
after(() => rmSync(root, { recursive: true, force: true }));

const TOKENS = [5, 17, 200, 3, 99, 41, 7, 310];
type Changes = Readonly<Record<string, unknown>>;

/** The golden model with another configuration; where that ties the head, the file has none of its own. */
function folderWith(name: string, changes: Changes, model: 'falcon-h1' | 'falcon-h1-norm' = 'falcon-h1') {
  const folder = join(root, name);
  cpSync(familyPath(model), folder, { recursive: true });
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, ...changes }));
  if (changes.tie_word_embeddings) {
    // A name of the same length, which nobody asks for: an own head would count over a tied one.
    const weights = readFileSync(join(folder, 'model.safetensors'));
    weights.write('"no_head.weight"', weights.indexOf('"lm_head.weight"'));
    writeFileSync(join(folder, 'model.safetensors'), weights);
  }
  return folder;
}

async function logitsOf(path: string): Promise<Float32Array> {
  await using model = await loadModel(path, {
    backend: 'reference',
    cacheType: 'f32',
    activations: 'f32',
  });
  const [result] = await model.step([{ session: model.createSession(), tokens: TOKENS, logits: 'all' }]);
  return result!.logits!;
}

async function asGguf(folder: string): Promise<string> {
  await using checkpoint = await openCheckpointPath(folder);
  const path = `${folder}.gguf`;
  await writeGguf(await planOutput(checkpoint, { type: 'f32' }), path, { threads: 1 });
  return path;
}

describe('Falcon-H1', () => {
  it('writes a head of its own where the embedding serves as one, since both have factors', async () => {
    const folder = folderWith('tied', { tie_word_embeddings: true });
    const path = await asGguf(folder);
    await using file = await openCheckpointPath(path);
    assert.ok(file.tensors.has('output.weight'));
    const [expected, found] = [await logitsOf(folder), await logitsOf(path)];
    assert.ok(largestDifference(found, expected) < 1e-5);
    assert.ok(largestDifference(expected, await logitsOf(familyPath('falcon-h1'))) > 1, 'ties the head');
  });

  it('leaves the head out where there are no factors', async () => {
    const plain = { embedding_multiplier: 1, lm_head_multiplier: 1 };
    const path = await asGguf(folderWith('plain', { ...plain, tie_word_embeddings: true }));
    await using file = await openCheckpointPath(path);
    assert.ok(!file.tensors.has('output.weight'));
  });

  const unsaid: Readonly<Record<string, [Changes, RegExp]>> = {
    'a norm before the gate': [{ mamba_norm_before_gate: true }, /a norm before the gate in layer 0/],
    'limits of steps': [{ time_step_limit: [0.01, 0.1] }, /steps kept between 0.01 and 0.1 in layer 0/],
    YaRN: [
      {
        rope_parameters: {
          rope_type: 'yarn',
          factor: 2,
          original_max_position_embeddings: 4,
          rope_theta: 1e6,
        },
      },
      /rotary positions stretched by YaRN in layer 0/,
    ],
  };
  for (const [name, [changes, message]] of Object.entries(unsaid))
    it(`refuses to write ${name}, which no key says`, async () => {
      const folder = folderWith(name.replaceAll(' ', '-'), changes, 'falcon-h1-norm');
      await assert.rejects(asGguf(folder), { name: 'ModelError', message });
      const own = await logitsOf(familyPath('falcon-h1-norm'));
      assert.ok(largestDifference(await logitsOf(folder), own) > 1e-3, 'and it changes the numbers');
    });

  for (const rope_type of ['linear', 'llama3'])
    it(`writes rotary positions that are scaled (${rope_type})`, async () => {
      const rope_parameters = {
        ...{ rope_type, factor: 4, rope_theta: 100 },
        ...{ low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8 },
      };
      const folder = folderWith(rope_type, { rope_parameters });
      const expected = await logitsOf(folder);
      assert.ok(largestDifference(await logitsOf(await asGguf(folder)), expected) < 1e-5);
      const unscaled = { rope_parameters: { rope_type: 'default', rope_theta: 100 } };
      const other = await logitsOf(folderWith(`${rope_type}-not`, unscaled));
      assert.ok(largestDifference(expected, other) > 1e-3);
    });

  const refused: Readonly<Record<string, [Changes, RegExp]>> = {
    'a bias on one projection': [{ projectors_bias: true }, /projectors_bias: expected mamba_proj_bias/],
    'too few factors': [{ ssm_multipliers: [1, 2] }, /ssm_multipliers: expected 5 numbers/],
    'a factor that is no number': [{ mlp_multipliers: [1, '2'] }, /mlp_multipliers: expected 2 numbers/],
    'no feed-forward': [{ mamba_use_mlp: false }, /mamba_use_mlp: expected nothing or true, found false/],
    'another activation': [{ hidden_act: 'gelu' }, /hidden_act/],
    'heads that do not add up': [{ mamba_d_head: 8 }, /mamba_d_head/],
  };
  for (const [name, [changes, message]] of Object.entries(refused))
    it(`refuses ${name} by its field`, () => {
      const config = JSON.parse(readFileSync(join(familyPath('falcon-h1'), 'config.json'), 'utf8'));
      const read = () =>
        falconH1.fromHuggingFace(ConfigReader.ofJson('config.json', { ...config, ...changes }));
      assert.throws(read, { name: 'ModelError', message });
    });
});
