// Weights that are rows of a tensor come to lie in memory exactly as they would from tensors of their own: in
// every format, packed or not, read, quantised or scaled meanwhile. The files are put together here row by row.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seeded } from '../../test/golden.ts';
import { jamba } from '../architecture/families/jamba.ts';
import type { Family } from '../architecture/family.ts';
import { GGUF_NAMES, type TensorNames } from '../architecture/roles.ts';
import { allOfKind, type ModelSpec, UNSCALED } from '../architecture/spec.ts';
import type { Backend } from '../backends/backend.ts';
import { ReferenceBackend } from '../backends/reference/backend.ts';
import { WasmBackend } from '../backends/wasm/backend.ts';
import { ModelError } from '../errors.ts';
import { bytesSource } from '../formats/byte-source.ts';
import { dequantize } from '../formats/dequantize.ts';
import { quantize, type WritableTensorType } from '../formats/quantize.ts';
import { byteLengthOf, TENSOR_TYPES } from '../formats/tensor-types.ts';
import type { Checkpoint, TensorEntry, TensorType } from '../formats/types.ts';
import { sizeOf } from '../layers/arrange.ts';
import { plainAttention } from '../layers/attention.ts';
import { plainExperts } from '../layers/experts.ts';
import { fingerprint } from './fingerprint.ts';
import { placeWeights } from './place.ts';
import type { QuantizeType } from './recipe.ts';
import { fileBytes, findWeights, neededWeights } from './weights.ts';

/** Heads of odd size, 3 experts of an odd size, and 256 columns for the K formats. */
const SPEC: ModelSpec = {
  family: 'test',
  name: 'test',
  vocabularySize: 70,
  hiddenSize: 256,
  normEpsilon: 1e-6,
  tiedHead: true,
  ...UNSCALED,
  contextLength: 64,
  beginToken: null,
  endTokens: [],
  layers: [
    {
      mixers: [{ ...plainAttention(3, 3, 26), inputBias: true }],
      feedForward: { kind: 'dense', size: 101, gated: true, activation: 'silu', bias: true },
    },
    {
      mixers: [],
      feedForward: plainExperts(37, 3, 2),
    },
  ],
};

const halves = (spec: ModelSpec, layer: number, take: number) => {
  const [experts] = allOfKind([spec.layers[layer]!], 'experts');
  const size = experts?.size ?? 101;
  return { blocks: experts?.count ?? 1, sections: [size, size], take: [take] };
};
/** Of each head q, then k and v: [3 heads × (q, k, v)]. */
const ofHead = (take: number) => () => ({ blocks: 3, sections: [26, 26, 26], take: [take] });
const rows = (tensor: string, take: number) => [
  { tensor, rows: (spec: ModelSpec, layer: number) => halves(spec, layer, take) },
];

const FUSED: TensorNames = {
  ...GGUF_NAMES,
  q: [{ tensor: 'blk.N.qkv.weight', rows: ofHead(0) }],
  k: [{ tensor: 'blk.N.qkv.weight', rows: ofHead(1) }],
  v: [{ tensor: 'blk.N.qkv.weight', rows: ofHead(2) }],
  qBias: [{ tensor: 'blk.N.qkv.bias', rows: ofHead(0) }],
  kBias: [{ tensor: 'blk.N.qkv.bias', rows: ofHead(1) }],
  vBias: [{ tensor: 'blk.N.qkv.bias', rows: ofHead(2) }],
  gate: rows('blk.N.gate_up.weight', 0),
  up: rows('blk.N.gate_up.weight', 1),
  gateBias: rows('blk.N.gate_up.bias', 0),
  upBias: rows('blk.N.gate_up.bias', 1),
  expertGate: rows('blk.N.gate_up_exps.weight', 0),
  expertUp: rows('blk.N.gate_up_exps.weight', 1),
};
const FAMILY: Family = {
  ...jamba,
  gguf: [
    { architecture: 'plain', names: GGUF_NAMES },
    { architecture: 'fused', names: FUSED },
  ],
};

type Tensors = Map<string, { type: TensorType; shape: readonly number[]; bytes: Uint8Array }>;

function plainTensors(type: TensorType): Tensors {
  const random = seeded(5);
  return new Map(
    neededWeights(SPEC).map(({ role, layer, shape, kind }) => {
      const fits = shape.at(-1)! % TENSOR_TYPES[type].blockLength === 0;
      const own = kind === 'vector' ? 'F32' : fits ? type : 'F16';
      const bytes = new Uint8Array(byteLengthOf(own, sizeOf(shape)));
      if (own === 'F32' || own === 'F16' || own === 'BF16') {
        quantize(
          own,
          Float32Array.from({ length: sizeOf(shape) }, () => random() - 0.5),
          bytes,
        );
      } else for (let i = 0; i < bytes.length; i++) bytes[i] = random() * 256;
      return [`${GGUF_NAMES[role]![0]}`.replace('N', `${layer}`), { type: own, shape, bytes }];
    }),
  );
}

/** Tensors of the same rows, `unit` of each at a time, one after the other. */
function fuse(tensors: Tensors, parts: readonly string[], into: string, unit: number, outer: number[]): void {
  const found = parts.map((name) => tensors.get(name)!);
  const { type, shape, bytes } = found[0]!;
  const rowBytes = shape.length > 1 ? byteLengthOf(type, shape.at(-1)!) : 4;
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += unit * rowBytes)
    for (const part of found) pieces.push(part.bytes.subarray(at, at + unit * rowBytes));
  for (const name of parts) tensors.delete(name);
  const columns = shape.length > 1 ? [shape.at(-1)!] : [];
  tensors.set(into, { type, shape: [...outer, ...columns], bytes: Buffer.concat(pieces) });
}

function fusedTensors(type: TensorType): Tensors {
  const tensors = plainTensors(type);
  for (const end of ['weight', 'bias']) {
    const qkv = ['q', 'k', 'v'].map((name) => `blk.0.attn_${name}.${end}`);
    fuse(tensors, qkv, `blk.0.qkv.${end}`, 26, [234]);
    const gateUp = ['gate', 'up'].map((name) => `blk.0.ffn_${name}.${end}`);
    fuse(tensors, gateUp, `blk.0.gate_up.${end}`, 101, [202]);
  }
  const experts = ['gate', 'up'].map((name) => `blk.1.ffn_${name}_exps.weight`);
  fuse(tensors, experts, 'blk.1.gate_up_exps.weight', 37, [3, 74]);
  return tensors;
}

/** A file that begins with some bytes of something else. */
function checkpoint(architecture: string, tensors: Tensors): Checkpoint {
  const bytes = Buffer.concat([Buffer.alloc(13), ...[...tensors.values()].map((tensor) => tensor.bytes)]);
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  const source = bytesSource('test.gguf', shared);
  const entries = new Map<string, TensorEntry>();
  let offset = 13;
  for (const [name, { type, shape, bytes: own }] of tensors) {
    entries.set(name, { name, type, shape, source, offset, byteLength: own.length });
    offset += own.length;
  }
  const metadata = new Map([['general.architecture', architecture]]);
  const close = async () => {};
  const file = { kind: 'gguf', name: 'test.gguf', version: 3, metadata, typedMetadata: new Map() } as const;
  return { ...file, tensors: entries, close, [Symbol.asyncDispose]: close };
}

const BACKENDS = {
  reference: async () => new ReferenceBackend(),
  'wasm, one thread': () => WasmBackend.create({ threads: 1, wideSimd: false }),
  'wasm, two threads': () => WasmBackend.create({ threads: 2, wideSimd: false }),
};

/** Every weight as it lies in memory, by layer, role and layout. */
async function placed(
  file: Checkpoint,
  open: () => Promise<Backend>,
  spec = SPEC,
  quantizeTo: QuantizeType | null = null,
  activations: 'int8' | 'f32' = 'int8',
): Promise<Map<string, Uint8Array>> {
  const backend = await open();
  try {
    const loaded: number[] = [];
    const weights = placeWeights(file, findWeights(file, FAMILY, spec), spec, backend, {
      quantize: quantizeTo,
      activations,
      onProgress: ({ loaded: bytes, total }) => loaded.push(bytes / (total ?? 0)),
    });
    await weights.load();
    assert.equal(loaded.at(-1), 1);
    assert.ok(
      loaded.every((share) => share <= 1),
      'no byte is counted twice',
    );
    const { u8 } = backend.arena.views;
    return new Map(
      weights.list.map(({ layer, role, placed: { address, layout, byteLength } }) => [
        `${layer} ${role} ${layout.type} ${layout.packed}`,
        u8.slice(address, address + byteLength),
      ]),
    );
  } finally {
    await backend.close();
  }
}

const TYPES = ['F32', 'BF16', 'F16', 'Q8_0', 'Q4_0', 'Q4_K', 'Q5_K', 'Q6_K', 'TQ1_0', 'TQ2_0'] as const;

for (const [name, open] of Object.entries(BACKENDS)) {
  describe(`rows of shared tensors, ${name}`, () => {
    for (const type of name.endsWith('two threads') ? (['BF16', 'Q4_K'] as const) : TYPES)
      test(`${type} as from tensors of their own`, async () => {
        const expected = await placed(checkpoint('plain', plainTensors(type)), open);
        assert.deepEqual(await placed(checkpoint('fused', fusedTensors(type)), open), expected);
        if (name !== 'reference' && type === 'Q4_K')
          assert.ok(
            [...expected.keys()].some((key) => key.endsWith('true')),
            'some are packed',
          );
      });

    for (const target of ['q4_K', 'f16'] as const)
      test(`quantised to ${target} as from tensors of their own`, async () => {
        const expected = await placed(checkpoint('plain', plainTensors('F32')), open, SPEC, target);
        assert.deepEqual(
          await placed(checkpoint('fused', fusedTensors('F32')), open, SPEC, target),
          expected,
        );
      });
  });
}

const SCALED: ModelSpec = {
  ...SPEC,
  weightScales: {
    q: [
      [50, 0.3],
      [28, 4],
    ],
    gateBias: [[101, 0.7]],
  },
};

/** The tensors with the factors in their values, each rounded once. */
function scaledTensors(type: WritableTensorType): Tensors {
  const tensors = plainTensors(type);
  const scale = (name: string, factor: (row: number) => number) => {
    const { type: own, shape, bytes } = tensors.get(name)!;
    const values = new Float32Array(sizeOf(shape));
    dequantize(own, bytes, values);
    const columns = shape[1] ?? 1;
    quantize(
      own as WritableTensorType,
      values.map((v, i) => v * factor(Math.floor(i / columns))),
      bytes,
    );
  };
  scale('blk.0.attn_q.weight', (row) => (row < 50 ? 0.3 : 4));
  scale('blk.0.ffn_gate.bias', () => 0.7);
  return tensors;
}

describe('weights that are multiplied by factors as they are read', () => {
  for (const [name, open] of Object.entries(BACKENDS))
    for (const type of name === 'reference' ? (['F32', 'F16', 'BF16'] as const) : (['BF16'] as const))
      test(`${type}, ${name}: every product rounded once`, async () => {
        const expected = await placed(checkpoint('plain', scaledTensors(type)), open);
        assert.deepEqual(await placed(checkpoint('plain', plainTensors(type)), open, SCALED), expected);
      });

  test('with f32 activations, 16 bits become 32: products as exact as those of F32', async () => {
    const open = BACKENDS.reference;
    for (const type of ['F16', 'BF16'] as const) {
      const found = await placed(checkpoint('plain', plainTensors(type)), open, SCALED, null, 'f32');
      const q = new Float32Array(found.get('0 q F32 false')!.buffer);
      const { bytes } = plainTensors(type).get('blk.0.attn_q.weight')!;
      const values = new Float32Array(q.length);
      dequantize(type, bytes, values);
      assert.deepEqual(
        q,
        values.map((v, i) => v * (i < 50 * 256 ? 0.3 : 4)),
      );
      assert.ok(found.has(`0 k ${type} false`), 'the others as they are');
    }
  });

  test('quantised meanwhile: scaled before', async () => {
    const open = BACKENDS.reference;
    const expected = await placed(checkpoint('plain', scaledTensors('F32')), open, SPEC, 'q4_K');
    assert.deepEqual(await placed(checkpoint('plain', plainTensors('F32')), open, SCALED, 'q4_K'), expected);
  });

  test('quantised already: refused, as are products that F16 cannot hold', async () => {
    const open = BACKENDS.reference;
    await assert.rejects(placed(checkpoint('plain', plainTensors('Q8_0')), open, SCALED), {
      name: 'ModelError',
      message: /layer 0 q: expected F32, F16 or BF16 in a weight that is multiplied by a factor, found Q8_0/,
    });
    const large: ModelSpec = { ...SPEC, weightScales: { q: [[78, 1e6]] } };
    await assert.rejects(placed(checkpoint('plain', plainTensors('F16')), open, large), {
      name: 'FormatError',
      message: /attn_q.*row 0: expected finite weights that F16 can hold/,
    });
  });
});

test('a shared tensor of another size is refused, its bytes are counted once, and both models have a mark', async () => {
  const fused = checkpoint('fused', fusedTensors('F16'));
  const plain = checkpoint('plain', plainTensors('F16'));
  const bytes = (file: Checkpoint) =>
    findWeights(file, FAMILY, SPEC).reduce((sum, weight) => sum + fileBytes(weight), 0);
  assert.equal(bytes(fused), bytes(plain));
  const mark = async (file: Checkpoint, spec = SPEC) =>
    fingerprint(
      spec,
      findWeights(file, FAMILY, spec).map((weight) => ({ ...weight, placed: { layout: { type: 'F16' } } })),
    );
  assert.equal(new Set([await mark(plain), await mark(fused), await mark(plain, SCALED)]).size, 3);
  const tensors = fusedTensors('F16');
  fuse(tensors, ['blk.0.gate_up.weight'], 'blk.0.gate_up.weight', 202, [101, 2]);
  assert.throws(
    () => findWeights(checkpoint('fused', tensors), FAMILY, SPEC),
    (error) =>
      error instanceof ModelError &&
      /blk\.0\.gate_up\.weight: expected shape \[202, 256\], found \[101, 2, 256\]/.test(error.message),
  );
});
