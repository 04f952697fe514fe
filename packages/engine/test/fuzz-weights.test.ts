// Models whose weights are of any format. With golden blocks in every matrix, each format gives the reference's numbers,
// alone and in mixes. With hostile ones (scales that are no numbers, wrong sizes, unknown type ids, rows that are no whole
// blocks) a file is refused with an error of this package, or runs, or sampling refuses what are no numbers: never a
// crash, a dead thread or a hang. A longer run:
//
//   FUZZ_COUNT=10000 node --test packages/engine/test/fuzz-weights.test.ts
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { dequantize } from '../src/formats/dequantize.ts';
import type { TypedMetadataValue } from '../src/formats/gguf-values.ts';
import { createGgufWriter } from '../src/formats/gguf-writer.ts';
import { byteLengthOf, TENSOR_TYPE_NAMES, TENSOR_TYPES } from '../src/formats/tensor-types.ts';
import type { TensorType } from '../src/formats/types.ts';
import { type LoadModelOptions, loadModel, MarimbaError, type Model } from '../src/index.ts';
import { below, pick, type Random, seededRandom } from './fuzz-mutations.ts';

const COUNT = Number(process.env.FUZZ_COUNT ?? 60);
const FIRST_SEED = Number(process.env.FUZZ_SEED ?? 1);
const LIMITS = { timeout: 3_600_000 };
const BLOCKS = new URL('../../../fixtures/golden/gguf/quants/', import.meta.url);

const u32 = (value: number): TypedMetadataValue => ({ type: 'u32', value });
const f32 = (value: number): TypedMetadataValue => ({ type: 'f32', value });
const HIDDEN = 256;
const VOCABULARY = 48;
const METADATA = new Map<string, TypedMetadataValue>([
  ['general.architecture', { type: 'string', value: 'llama' }],
  ['llama.block_count', u32(1)],
  ['llama.context_length', u32(64)],
  ['llama.embedding_length', u32(HIDDEN)],
  ['llama.feed_forward_length', u32(512)],
  ['llama.attention.head_count', u32(4)],
  ['llama.attention.head_count_kv', u32(2)],
  ['llama.attention.layer_norm_rms_epsilon', f32(1e-5)],
  ['llama.vocab_size', u32(VOCABULARY)],
]);
const SHAPES: readonly (readonly [name: string, ...shape: number[]])[] = [
  ['token_embd.weight', VOCABULARY, HIDDEN],
  ['output.weight', VOCABULARY, HIDDEN],
  ['output_norm.weight', HIDDEN],
  ['blk.0.attn_norm.weight', HIDDEN],
  ['blk.0.attn_q.weight', HIDDEN, HIDDEN],
  ['blk.0.attn_k.weight', 128, HIDDEN],
  ['blk.0.attn_v.weight', 128, HIDDEN],
  ['blk.0.attn_output.weight', HIDDEN, HIDDEN],
  ['blk.0.ffn_norm.weight', HIDDEN],
  ['blk.0.ffn_gate.weight', 512, HIDDEN],
  ['blk.0.ffn_up.weight', 512, HIDDEN],
  ['blk.0.ffn_down.weight', HIDDEN, 512],
];

/** Golden blocks, whose scales are ordinary numbers, in any order. */
function ordinaryBytes(type: TensorType, count: number, random: Random): Uint8Array {
  const bytes = new Uint8Array(byteLengthOf(type, count));
  const { blockBytes } = TENSOR_TYPES[type];
  if (type === 'F32' || type === 'F16' || type === 'BF16') {
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < count; i++) {
      const [sign, mantissa] = [below(random, 2) << 15, below(random, 0x400)];
      if (type === 'F32') view.setFloat32(4 * i, random() - 0.5, true);
      else view.setUint16(2 * i, sign | (type === 'F16' ? 0x2c00 : 0x3d00) | (mantissa & 0x7f), true);
    }
    return bytes;
  }
  const golden = readFileSync(new URL(`${type}.bin`, BLOCKS));
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const from = below(random, golden.length / blockBytes) * blockBytes;
    bytes.set(golden.subarray(from, from + blockBytes), at);
  }
  return bytes;
}

/** Anything, with more infinities and NaNs among halves and floats than chance gives. */
function hostileBytes(type: TensorType, count: number, random: Random): Uint8Array {
  const bytes = ordinaryBytes(type, count, random);
  const view = new DataView(bytes.buffer);
  const odd = [0x7c00, 0xfc00, 0x7e00, 0x7bff, 0x0001, 0x8000, 0x7f80, 0xffff] as const;
  const { blockBytes } = TENSOR_TYPES[type];
  for (let i = 1 + below(random, 8); i > 0; i--) {
    const block = below(random, bytes.length / blockBytes) * blockBytes;
    const at = block + (random() < 0.5 ? 0 : below(random, blockBytes));
    view.setUint16(Math.min(at, bytes.length - 2), pick(random, odd), true);
  }
  return bytes;
}

type Bytes = (type: TensorType, count: number, random: Random) => Uint8Array;

/** A file in which a matrix has the type that `typeOf` says. */
function modelFile(
  random: Random,
  typeOf: (name: string) => TensorType,
  bytesOf: Bytes,
): Uint8Array<ArrayBuffer> {
  const tensors = SHAPES.map(([name, ...shape]) => ({
    name,
    shape,
    type: shape.length === 1 ? ('F32' as const) : typeOf(name),
  }));
  const { header, tensors: placed, byteLength } = createGgufWriter({ metadata: METADATA, tensors });
  const bytes = new Uint8Array(byteLength);
  bytes.set(header);
  tensors.forEach(({ shape, type }, i) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const ones = new Uint8Array(new Float32Array(count).fill(1).buffer);
    bytes.set(shape.length === 1 ? ones : bytesOf(type, count, random), placed[i]!.offset);
  });
  return bytes;
}

const load = (bytes: Uint8Array<ArrayBuffer>, options: LoadModelOptions): Promise<Model> =>
  loadModel([{ name: 'model.gguf', blob: new Blob([bytes]) }], {
    cacheType: 'f32',
    activations: 'f32',
    prefixCacheBytes: 0,
    ...options,
  });

const TOKENS = [5, 6, 7, 40];

async function logitsOf(bytes: Uint8Array<ArrayBuffer>, options: LoadModelOptions): Promise<Float32Array> {
  await using model = await load(bytes, options);
  const [step] = await model.step([{ session: model.createSession(), tokens: TOKENS, logits: 'all' }]);
  return step!.logits!.slice();
}

/** Root mean square of the difference, as a share of the first's own. */
function difference(expected: Float32Array, found: Float32Array): number {
  let error = 0;
  let total = 0;
  expected.forEach((value, i) => {
    error += (value - found[i]!) ** 2;
    total += value ** 2;
  });
  return Math.sqrt(error / total);
}

async function checkModel(bytes: Uint8Array<ArrayBuffer>, what: string): Promise<void> {
  const expected = await logitsOf(bytes, { backend: 'reference' });
  const exact = difference(expected, await logitsOf(bytes, { threads: 1 }));
  assert.ok(exact < 2e-5, `${what}: ${exact}`);
  const rounded = difference(expected, await logitsOf(bytes, { threads: 1, activations: 'int8' }));
  assert.ok(rounded < 0.06, `${what}, int8 activations: ${rounded}`);
}

for (const type of TENSOR_TYPE_NAMES)
  test(`${type}: a model of it gives the reference's numbers`, async () => {
    await checkModel(
      modelFile(seededRandom(1), () => type, ordinaryBytes),
      type,
    );
  });

test('a model of any mix of types gives the reference’s numbers', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const random = seededRandom(seed);
    const typeOf = () => TENSOR_TYPE_NAMES[below(random, TENSOR_TYPE_NAMES.length)]!;
    await checkModel(modelFile(random, typeOf, ordinaryBytes), `seed ${seed}`);
  }
});

test('scales beside tensors multiply them: NVFP4 as the float32 that it stands for', async () => {
  const scaleOf = (name: string) => 0.5 + name.length / 64;
  const matrices = SHAPES.filter(([, ...shape]) => shape.length > 1);
  const raw = new Map(
    matrices.map(([name, ...shape]) => {
      const count = shape.reduce((a, b) => a * b, 1);
      return [name, ordinaryBytes('NVFP4', count, seededRandom(count + name.length))] as const;
    }),
  );
  const file = (type: 'NVFP4' | 'F32') => {
    const tensors = SHAPES.flatMap(([name, ...shape]) => {
      const matrix = shape.length > 1;
      const scale = { name: name.replace(/weight$/, 'scale'), shape: [1], type: 'F32' as const };
      return [
        { name, shape, type: matrix ? type : ('F32' as const) },
        ...(matrix && type === 'NVFP4' ? [scale] : []),
      ];
    });
    const { header, tensors: placed, byteLength } = createGgufWriter({ metadata: METADATA, tensors });
    const bytes = new Uint8Array(byteLength);
    bytes.set(header);
    placed.forEach(({ offset }, i) => {
      const { name, shape } = tensors[i]!;
      const source = raw.get(name);
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(source ? 0 : 1);
      if (name.endsWith('.scale')) values[0] = scaleOf(name.replace(/scale$/, 'weight'));
      if (source) dequantize('NVFP4', source, values);
      const scaled = source ? values.map((value) => value * scaleOf(name)) : values;
      bytes.set(source && type === 'NVFP4' ? source : new Uint8Array(scaled.buffer), offset);
    });
    return bytes;
  };
  const expected = await logitsOf(file('F32'), { threads: 1 });
  assert.ok(difference(expected, await logitsOf(file('NVFP4'), { threads: 1 })) < 1e-6);
  const rounded = difference(expected, await logitsOf(file('NVFP4'), { threads: 1, activations: 'int8' }));
  assert.ok(rounded < 0.06, `int8 activations: ${rounded}`);
});

/** Changes a description in the header: its type, its rows' length or its offset; or cuts the file short. */
function mutated(random: Random, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer);
  const [name] = SHAPES[below(random, SHAPES.length)]!;
  const at = new TextDecoder('latin1').decode(bytes.subarray(0, 4096)).indexOf(name) + name.length;
  const dimensions = view.getUint32(at, true);
  const columns = at + 4;
  const typeAt = columns + 8 * dimensions;
  const lengths = [1, 31, 32, 33, 64, 96, 160, 255, 257, 512, 2 ** 31] as const;
  const changes = [
    () => view.setUint32(typeAt, below(random, 46), true),
    () => view.setUint32(typeAt, pick(random, [9, 15, 31, 255, 2 ** 31, 4_294_967_295]), true),
    () => view.setBigUint64(columns, BigInt(pick(random, lengths)), true),
    () => view.setBigUint64(typeAt + 4, BigInt(32 * below(random, 40_000)), true),
  ] as const;
  if (random() < 0.1) return bytes.slice(0, below(random, bytes.length));
  pick(random, changes)();
  return bytes;
}

/** What became of a file: it ran, was refused, or gave what cannot be sampled from. */
async function outcomeOf(bytes: Uint8Array<ArrayBuffer>, options: LoadModelOptions): Promise<string> {
  let model: Model | null = null;
  try {
    model = await load(bytes, options);
    const session = model.createSession();
    await session.complete(TOKENS, { maxTokens: 0 });
    const isNumberless = session.logits!.some(Number.isNaN);
    const { tokens } = await session.complete([], { temperature: 0, maxTokens: 2, ignoreEos: true });
    assert.ok(!isNumberless || tokens.length === 0, 'sampled from what is no number');
    return 'ran';
  } catch (error) {
    if (!(error instanceof MarimbaError)) throw error;
    assert.notEqual(error.code, 'worker-failed', String(error));
    assert.ok(error.message.length < 2000, `a message of ${error.message.length} characters`);
    return model ? 'refused to sample' : 'refused';
  } finally {
    await model?.close();
  }
}

test(`${COUNT} models with hostile weights`, LIMITS, async () => {
  const outcomes = new Map<string, number>();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + COUNT; seed++) {
    const random = seededRandom(seed);
    const typeOf = () => TENSOR_TYPE_NAMES[below(random, TENSOR_TYPE_NAMES.length)]!;
    const whole = modelFile(random, typeOf, random() < 0.5 ? hostileBytes : ordinaryBytes);
    const bytes = random() < 0.6 ? mutated(random, whole) : whole;
    const activations = pick(random, ['f32', 'int8'] as const);
    const options = random() < 0.75 ? { threads: 1, activations } : { backend: 'reference' as const };
    try {
      const outcome = await outcomeOf(bytes, options);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    } catch (error) {
      throw new Error(`seed ${seed}, ${JSON.stringify(options)}: not refused but failed`, { cause: error });
    }
  }
  const told = [...outcomes].map(([what, times]) => `${times} ${what}`).join(', ');
  for (const outcome of ['ran', 'refused', 'refused to sample'])
    assert.ok((outcomes.get(outcome) ?? 0) > COUNT / 20, told);
});
