// What `quantize --type f32` makes of each golden folder, against the file that llama.cpp's own converter made
// of it: the same architecture, metadata, tensors and values. What GGUF cannot say is refused.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { writeGguf } from '../src/export/write-gguf.node.ts';
import { openCheckpointPath } from '../src/formats/checkpoint.node.ts';
import { dequantize } from '../src/formats/dequantize.ts';
import type { GgufCheckpoint, JsonObject, TensorEntry } from '../src/formats/types.ts';
import { planOutput } from '../src/quantize/plan-output.ts';
import { FAMILY_MODELS, type FamilyModel, familyPath, hasFamilyFile } from './golden-families.ts';

const root = mkdtempSync(join(tmpdir(), 'marimba-gguf-export-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** Models that no GGUF file can say, and why. */
const REFUSED: Readonly<Partial<Record<FamilyModel, RegExp>>> = {
  // Layers without positions among others that rotate.
  'granite-swa': /found other than one rotary attention in layer 0 \(granite\)\./,
  'lfm2-moe': /; weightScale 1\.5 in layer 1 \(lfm2moe\)\./,
  'nemotron-h': /found experts blocks \(nemotron_h\); dense blocks \(nemotron_h_moe\)\./,
  // llama.cpp's scale is 1 / √(head size); this model's is not.
  gemma3: /found scale 0\.2236\d* in layer 0 \(gemma3\)\./,
};

/** Keys that differ: ours, then llama.cpp's; undefined where a file has none. */
type Differences = Readonly<Record<string, readonly [ours: unknown, theirs: unknown]>>;

/** The converter writes this for models whose own length it does not look up. */
const UNKNOWN_LENGTH = 2 ** 20;
/** Keys of attention that a loader fills in alike, or that does not rotate at all. */
const said = (architecture: string, vocabulary: number, rotary: number): Differences => ({
  [`${architecture}.vocab_size`]: [vocabulary, undefined],
  [`${architecture}.rope.dimension_count`]: [rotary, undefined],
});
const granite: Differences = {
  'granitehybrid.context_length': [512, UNKNOWN_LENGTH],
  // Of attention that `rope.scaling.finetuned` says does not rotate.
  'granitehybrid.rope.dimension_count': [undefined, 12],
  'granitehybrid.rope.freq_base': [undefined, 10_000],
};
const nemotron = (architecture: string): Differences => ({
  [`${architecture}.context_length`]: [512, UNKNOWN_LENGTH],
  // Of attention that never rotates here.
  [`${architecture}.rope.dimension_count`]: [undefined, 12],
  [`${architecture}.rope.scaling.finetuned`]: [undefined, false],
});
/** Of layers whose list an interval says; the converter writes 4 always. */
const interval = (architecture: string): Differences => ({
  [`${architecture}.full_attention_interval`]: [3, 4],
});
const DIFFERENCES: Readonly<Partial<Record<FamilyModel, Differences>>> = {
  lfm2: { 'lfm2.rope.dimension_count': [16, undefined] },
  'lfm2-moe': { 'lfm2moe.rope.dimension_count': [12, undefined] },
  mamba2: { 'mamba2.vocab_size': [320, undefined] },
  'granite-h-dense': { ...granite, 'granitehybrid.expert_shared_feed_forward_length': [undefined, 80] },
  'granite-h-moe': granite,
  // The converter adds a begin token to dense Nemotrons, whatever the tokenizer says.
  'nemotron-h-g2': { ...nemotron('nemotron_h'), 'tokenizer.ggml.add_bos_token': [false, true] },
  'nemotron-h-moe': nemotron('nemotron_h_moe'),
  'qwen3.5-tied': interval('qwen35'),
  'qwen3.5-untied': interval('qwen35'),
  'qwen3.5-moe': interval('qwen35moe'),
  // No layer is dense.
  'qwen3-next': { 'qwen3next.feed_forward_length': [undefined, 64] },
  'gemma3-p6': {
    ...said('gemma3', 320, 16),
    // The hidden size through the number of heads, which is what a loader takes otherwise.
    'gemma3.attention.key_length': [undefined, 16],
    'gemma3.attention.value_length': [undefined, 16],
  },
  // Every layer has experts: their size, where the converter gives one of feed-forwards that no layer has.
  'qwen3-moe': { ...said('qwen3moe', 320, 20), 'qwen3moe.feed_forward_length': [24, 80] },
  olmo2: said('olmo2', 320, 12),
  olmo3: {
    ...said('olmo2', 320, 12),
    // The same as `rope.freq_base`, and what follows from the factor: nothing reads this key.
    'olmo2.rope.freq_base_swa': [undefined, 500_000],
    'olmo2.rope.scaling.yarn_attn_factor': [undefined, Math.fround(0.1 * Math.log(8) + 1)],
  },
};

/**
 * Of descriptions for people, whose wording is not the model's; and the rule that splits texts, which the
 * converter knows by a hash of the vocabulary and not for these.
 */
const NOT_COMPARED =
  /^general\.(name|size_label|basename|finetune|quantization_version)$|^tokenizer\.ggml\.pre$/;

async function opened(path: string): Promise<GgufCheckpoint> {
  const file = await openCheckpointPath(path);
  assert.equal(file.kind, 'gguf');
  return file as GgufCheckpoint;
}

async function written(name: FamilyModel, changes: JsonObject = {}): Promise<GgufCheckpoint> {
  const folder = await openCheckpointPath(familyPath(name));
  assert.ok(folder.kind === 'huggingface');
  const path = join(root, `${name}.gguf`);
  try {
    const changed = { ...folder, config: { ...folder.config, ...changes } };
    await writeGguf(await planOutput(changed, { type: 'f32' }), path, { threads: 1, overwrite: true });
  } finally {
    await folder.close();
  }
  return opened(path);
}

function compareMetadata(ours: GgufCheckpoint, theirs: GgufCheckpoint, allowed: Differences): void {
  const found: Record<string, readonly unknown[]> = {};
  for (const key of new Set([...ours.typedMetadata.keys(), ...theirs.typedMetadata.keys()])) {
    const [own, other] = [ours.typedMetadata.get(key), theirs.typedMetadata.get(key)];
    if (!NOT_COMPARED.test(key) && JSON.stringify(own?.value) !== JSON.stringify(other?.value))
      found[key] = [own?.value, other?.value];
    else if (own && other) assert.equal(own.type, other.type, `${key}: its type`);
  }
  assert.deepEqual(found, allowed);
}

async function valuesOf(tensor: TensorEntry): Promise<Float32Array> {
  const bytes = new Uint8Array(tensor.byteLength);
  await tensor.source.read(tensor.offset, bytes);
  const values = new Float32Array(tensor.shape.reduce((a, b) => a * b, 1));
  dequantize(tensor.type, bytes, values);
  return values;
}

async function compareTensors(ours: GgufCheckpoint, theirs: GgufCheckpoint): Promise<void> {
  assert.deepEqual([...ours.tensors.keys()].sort(), [...theirs.tensors.keys()].sort());
  for (const [name, own] of ours.tensors) {
    const other = theirs.tensors.get(name)!;
    assert.deepEqual([own.type, ...own.shape], [other.type, ...other.shape], name);
    const [found, expected] = [await valuesOf(own), await valuesOf(other)];
    // exp and products of factors may round differently in the last place.
    for (let i = 0; i < found.length; i++)
      if (Math.abs(found[i]! - expected[i]!) > 4e-7 * Math.abs(expected[i]!))
        assert.fail(`${name}: value ${i}: expected ${expected[i]}, found ${found[i]}`);
  }
}

async function same(name: FamilyModel, changes: JsonObject = {}): Promise<void> {
  const ours = await written(name, changes);
  const theirs = await opened(familyPath(name, 'f32'));
  try {
    compareMetadata(ours, theirs, DIFFERENCES[name] ?? {});
    await compareTensors(ours, theirs);
  } finally {
    await ours.close();
    await theirs.close();
  }
}

for (const name of FAMILY_MODELS) {
  describe(name, () => {
    const refusal = REFUSED[name];
    if (refusal)
      it('is refused by name', () => assert.rejects(written(name), { name: 'ModelError', message: refusal }));
    else if (hasFamilyFile(name, 'f32')) it('gives the file of llama.cpp’s converter', () => same(name));
    else it('has a file to compare with, or a refusal', () => assert.fail(`${name}: neither`));
  });
}

it('a model of LFM2-MoE whose weights are not scaled gives the file that the converter makes of any', () =>
  same('lfm2-moe', { routed_scaling_factor: 1 }));
