// Reader and writer of GGUF against each other, and the reader against files written by llama.cpp's own
// converter.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FormatError, UsageError } from '../errors.ts';
import { fileSource } from './byte-source.node.ts';
import { bytesSource } from './byte-source.ts';
import { readGguf } from './gguf-reader.ts';
import type { TypedMetadataValue } from './gguf-values.ts';
import { createGgufWriter, type GgufContent, type GgufTensorInfo } from './gguf-writer.ts';
import type { GgufCheckpoint } from './types.ts';

const golden = fileURLToPath(new URL('../../../../fixtures/golden/gguf/', import.meta.url));

function fileOf(content: GgufContent): Uint8Array {
  const layout = createGgufWriter(content);
  const bytes = new Uint8Array(layout.byteLength);
  bytes.set(layout.header);
  return bytes;
}

function metadataOf(entries: { [key: string]: TypedMetadataValue }): Map<string, TypedMetadataValue> {
  return new Map(Object.entries(entries));
}

const everyType: { [key: string]: TypedMetadataValue } = {
  u8: { type: 'u8', value: 255 },
  i8: { type: 'i8', value: -128 },
  u16: { type: 'u16', value: 65535 },
  i16: { type: 'i16', value: -32768 },
  u32: { type: 'u32', value: 2 ** 32 - 1 },
  i32: { type: 'i32', value: -(2 ** 31) },
  f32: { type: 'f32', value: 0.25 },
  bool: { type: 'bool', value: true },
  string: { type: 'string', value: '\ufeffπ ≈ 3, \u0000 😀' },
  empty: { type: 'string', value: '' },
  u64: { type: 'u64', value: 2 ** 53 - 1 },
  bigU64: { type: 'u64', value: 2n ** 64n - 1n },
  i64: { type: 'i64', value: -(2 ** 53 - 1) },
  bigI64: { type: 'i64', value: -(2n ** 63n) },
  f64: { type: 'f64', value: Math.PI },
  strings: { type: 'array', of: 'string', value: ['a', '', '▁b'] },
  none: { type: 'array', of: 'i32', value: [] },
  nested: {
    type: 'array',
    of: 'array',
    value: [
      { type: 'array', of: 'u8', value: [1, 2] },
      { type: 'array', of: 'array', value: [{ type: 'array', of: 'bool', value: [false] }] },
    ],
  },
};

const tensors: GgufTensorInfo[] = [
  { name: 'a', type: 'F32', shape: [3] },
  { name: 'b', type: 'Q4_0', shape: [5, 64] },
  { name: 'c', type: 'Q6_K', shape: [2, 3, 256] },
  { name: 'd', type: 'F16', shape: [1, 2, 3, 7] },
];

function plain(typed: TypedMetadataValue): unknown {
  return typed.type === 'array' && typed.of === 'array' ? typed.value.map(plain) : typed.value;
}

for (const alignment of [32, 1, 64, 4096]) {
  test(`every metadata type and tensor survives a round trip, alignment ${alignment}`, async () => {
    const content = { metadata: metadataOf(everyType), tensors, alignment };
    const bytes = fileOf(content);
    const read = await readGguf(bytesSource('m.gguf', bytes));
    for (const [key, typed] of content.metadata) assert.deepEqual(read.metadata.get(key), plain(typed), key);
    assert.equal(read.metadata.size, content.metadata.size + (alignment === 32 ? 0 : 1));
    const layout = createGgufWriter(content);
    assert.deepEqual(
      [...read.tensors.values()].map(({ source, ...rest }) => rest),
      layout.tensors,
    );
    assert(layout.tensors.every((tensor) => tensor.offset % alignment === 0));
  });
}

test('version 2 reads like version 3; other versions, big-endian and other files are refused', async () => {
  const bytes = fileOf({ metadata: metadataOf({ x: { type: 'u8', value: 1 } }), tensors });
  bytes[4] = 2;
  assert.equal((await readGguf(bytesSource('m.gguf', bytes))).version, 2);
  bytes[4] = 1;
  await assert.rejects(readGguf(bytesSource('m.gguf', bytes)), /m\.gguf: header: .*found version 1\./);
  bytes.set([0, 0, 0, 3], 4);
  await assert.rejects(readGguf(bytesSource('m.gguf', bytes)), /big-endian/);
  bytes[0] = 0;
  await assert.rejects(readGguf(bytesSource('m.gguf', bytes)), /This is not a GGUF file/);
  await assert.rejects(readGguf(bytesSource('m.gguf', new Uint8Array(3))), FormatError);
});

test('golden files of llama.cpp: every tensor lies in the file, shapes are row-major', async () => {
  const names = readdirSync(golden).filter((name) => name.endsWith('.gguf'));
  assert.equal(names.length, 18);
  for (const name of names) {
    const checkpoint = await readGguf(await fileSource(golden + name));
    const { metadata, tensors: read } = checkpoint;
    const width = metadata.get(`${metadata.get('general.architecture')}.embedding_length`);
    assert.equal(read.get('token_embd.weight')?.shape[1], width, name);
    for (const tensor of read.values()) assert(tensor.offset + tensor.byteLength <= tensor.source.byteLength);
    await checkpoint.close();
  }
});

test('a vocabulary of 256,000 strings larger than the first window', async () => {
  const tokens = Array.from({ length: 256_000 }, (_, i) => `▁token ${i}`);
  const metadata = metadataOf({ tokens: { type: 'array', of: 'string', value: tokens } });
  const read = await readGguf(bytesSource('m.gguf', fileOf({ metadata, tensors })));
  assert.deepEqual(read.metadata.get('tokens'), tokens);
});

/** The file of one tensor and one key with some bytes changed; `find` locates a text in the header. */
function damage(
  change: (bytes: Uint8Array, view: DataView, find: (text: string) => number) => void,
): Uint8Array {
  const metadata = metadataOf({ some_key: { type: 'string', value: 'text' } });
  const two: GgufTensorInfo[] = [
    { name: 'first.weight', type: 'F32', shape: [2, 8] },
    { name: 'other.weight', type: 'Q4_0', shape: [2, 32] },
  ];
  const bytes = fileOf({ metadata, tensors: two });
  const find = (text: string) => Buffer.from(bytes).indexOf(text);
  change(bytes, new DataView(bytes.buffer), find);
  return bytes;
}

const TENSOR_NAME = 12;
const afterName = (at: number) => at + TENSOR_NAME;
const damaged: [string, RegExp, Parameters<typeof damage>[0]][] = [
  [
    'tensor count',
    /header: expected a number of tensors of at most \d+, found 18446744073709551615/,
    (_, v) => v.setBigInt64(8, -1n, true),
  ],
  ['key count', /header: expected a number of metadata keys/, (_, v) => v.setUint32(16, 1e6, true)],
  ['one key too many', /./, (_, v) => v.setUint32(16, 2, true)],
  [
    'value type',
    /metadata key "some_key": expected a value type from 0 to 12, found 77/,
    (_, v, f) => v.setUint32(f('some_key') + 8, 77, true),
  ],
  [
    'length of text',
    /metadata key "some_key": expected a length of text/,
    (_, v, f) => v.setUint32(f('text') - 8, 1e5, true),
  ],
  [
    'empty key',
    /metadata key 0: expected a key, found an empty one/,
    (_, v, f) => v.setUint32(f('some_key') - 8, 0, true),
  ],
  [
    'tensor twice',
    /tensor "first\.weight": expected every tensor once/,
    (b, _, f) => b.set(Buffer.from('first'), f('other')),
  ],
  [
    'dimensions',
    /tensor "first\.weight": expected 1 to 4 dimensions, found 5/,
    (_, v, f) => v.setUint32(afterName(f('first')), 5, true),
  ],
  [
    'no dimensions',
    /expected 1 to 4 dimensions, found 0/,
    (_, v, f) => v.setUint32(afterName(f('first')), 0, true),
  ],
  [
    'size zero',
    /expected dimensions of at least 1, found 0/,
    (_, v, f) => v.setUint32(afterName(f('first')) + 4, 0, true),
  ],
  [
    'size huge',
    /expected a dimension of at most/,
    (_, v, f) => v.setBigUint64(afterName(f('first')) + 4, 2n ** 60n, true),
  ],
  [
    'partial block',
    /tensor "other\.weight": expected rows of a multiple of 32 elements for Q4_0, found 31/,
    (_, v, f) => v.setUint32(afterName(f('other')) + 4, 31, true),
  ],
  [
    'offset off alignment',
    /expected an offset that is a multiple of 32, found 65/,
    (_, v, f) => v.setUint32(afterName(f('other')) + 24, 65, true),
  ],
  [
    'offset outside',
    /tensor "other\.weight": expected data inside the file/,
    (_, v, f) => v.setUint32(afterName(f('other')) + 24, 128, true),
  ],
  [
    'overlap',
    /tensor "other\.weight": expected data of its own, found that it starts at \d+, inside tensor "first\.weight"/,
    (_, v, f) => v.setUint32(afterName(f('other')) + 24, 32, true),
  ],
];
for (const [what, message, change] of damaged) {
  test(`refuses a damaged ${what}`, async () => {
    await assert.rejects(readGguf(bytesSource('m.gguf', damage(change))), (error: unknown) => {
      assert(error instanceof FormatError, String(error));
      assert.match(error.message, message);
      assert.match(error.message, /^m\.gguf: /);
      return true;
    });
  });
}

test('text that is not UTF-8 is read with U+FFFD: nothing depends on it', async () => {
  const bytes = damage((b, _, find) => {
    b[find('text') + 3] = 0xe9;
    b[find('some_key') + 4] = 0xe9;
  });
  const { metadata } = await readGguf(bytesSource('m.gguf', bytes));
  assert.equal(metadata.get('some\ufffdkey'), 'tex\ufffd');
});

test('tensors of types that are not read are left out, with their types', async () => {
  for (const [id, type] of [
    [26, 'I32 (type number 26)'],
    [4242, 'type number 4242'],
  ] as const) {
    const bytes = damage((_, v, find) => v.setUint32(afterName(find('other')) + 20, id, true));
    const { tensors, unreadTensors } = await readGguf(bytesSource('m.gguf', bytes));
    assert.deepEqual([...tensors.keys()], ['first.weight']);
    assert.deepEqual([...unreadTensors!], [['other.weight', type]]);
  }
});

test('refuses a file that is cut short anywhere, and says so', async () => {
  const bytes = damage(() => {});
  const { tensors: whole } = await readGguf(bytesSource('m.gguf', bytes));
  const last = whole.get('other.weight');
  assert(last !== undefined);
  for (let length = 1; length < last.offset + last.byteLength; length++) {
    await assert.rejects(
      readGguf(bytesSource('m.gguf', bytes.subarray(0, length))),
      (error) =>
        error instanceof FormatError && (length < 4 ? /not a GGUF/ : /cut short/).test(error.message),
      `${length}`,
    );
  }
});

test('refuses bad alignments, keys twice and arrays nested too deep', async () => {
  const open = (metadata: Map<string, TypedMetadataValue>) =>
    readGguf(bytesSource('m.gguf', fileOf({ metadata, tensors: [] })));
  for (const value of [0, 24, 2 ** 31]) {
    await assert.rejects(
      open(metadataOf({ 'general.alignment': { type: 'u32', value } })),
      /"general\.alignment": expected a power/,
    );
  }
  await assert.rejects(
    open(metadataOf({ 'general.alignment': { type: 'string', value: '32' } })),
    /found text/,
  );
  const twice = fileOf({
    metadata: metadataOf({ ab: { type: 'u8', value: 1 }, cd: { type: 'u8', value: 1 } }),
    tensors: [],
  });
  twice.set(Buffer.from('ab'), Buffer.from(twice).indexOf('cd'));
  await assert.rejects(
    readGguf(bytesSource('m.gguf', twice)),
    /metadata key "ab": expected every key once, found it twice/,
  );
  let deep: TypedMetadataValue = { type: 'array', of: 'u8', value: [] };
  for (let i = 0; i < 8; i++) deep = { type: 'array', of: 'array', value: [deep] };
  await assert.rejects(open(metadataOf({ deep })), /nested at most 8 deep/);
});

/** Three parts, each with one tensor, the first with all metadata. */
function splitModel(
  change: (part: number) => { [key: string]: TypedMetadataValue } = () => ({}),
): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (let part = 0; part < 3; part++) {
    const metadata = metadataOf({
      ...(part === 0 ? { 'general.architecture': { type: 'string', value: 'jamba' } as const } : {}),
      'split.no': { type: 'u16', value: part },
      'split.count': { type: 'u16', value: 3 },
      'split.tensors.count': { type: 'i32', value: 3 },
      ...change(part),
    });
    const tensor: GgufTensorInfo = { name: `t${part}`, type: 'F32', shape: [4] };
    files.set(`m-0000${part + 1}-of-00003.gguf`, fileOf({ metadata, tensors: [tensor] }));
  }
  return files;
}

function openPart(files: Map<string, Uint8Array>, name: string): Promise<GgufCheckpoint> {
  const source = (fileName: string) => {
    const bytes = files.get(fileName);
    if (bytes === undefined) throw new FormatError(`${fileName}: no such file`);
    return bytesSource(fileName, bytes);
  };
  return readGguf(source(name), { openSplit: async (fileName) => source(fileName) });
}

test('split files: any part opens the whole model', async () => {
  const files = splitModel();
  for (const name of files.keys()) {
    const checkpoint = await openPart(files, name);
    assert.deepEqual([...checkpoint.tensors.keys()], ['t0', 't1', 't2']);
    assert.equal(checkpoint.metadata.get('general.architecture'), 'jamba');
  }
});

test('split files: missing, foreign and inconsistent parts are refused', async () => {
  const first = 'm-00001-of-00003.gguf';
  const files = splitModel();
  await assert.rejects(
    readGguf(bytesSource(first, files.get(first) ?? new Uint8Array())),
    /expected 3 parts, found only this one/,
  );
  await assert.rejects(
    readGguf(bytesSource('renamed.gguf', files.get(first) ?? new Uint8Array())),
    /model-00001-of-00003\.gguf/,
  );
  files.delete('m-00002-of-00003.gguf');
  await assert.rejects(openPart(files, first), /m-00002-of-00003\.gguf: no such file/);
  await assert.rejects(
    openPart(
      splitModel((part) => (part === 2 ? { 'split.no': { type: 'u16', value: 1 } } : {})),
      first,
    ),
    /different models/,
  );
  await assert.rejects(
    openPart(
      splitModel(() => ({ 'split.tensors.count': { type: 'i32', value: 4 } })),
      first,
    ),
    /expected 4 tensors in all parts, found 3/,
  );
  const doubled = splitModel();
  const text = Buffer.from(doubled.get('m-00003-of-00003.gguf') ?? []);
  text.write('t0', text.indexOf('t2'));
  doubled.set('m-00003-of-00003.gguf', new Uint8Array(text));
  await assert.rejects(openPart(doubled, first), /tensor "t0": expected every tensor in one part/);
});

test('the writer refuses what cannot be written', () => {
  const write = (
    metadata: { [key: string]: TypedMetadataValue },
    list: GgufTensorInfo[] = [],
    alignment = 32,
  ) => createGgufWriter({ metadata: metadataOf(metadata), tensors: list, alignment });
  const wrong: TypedMetadataValue[] = [
    { type: 'u8', value: 256 },
    { type: 'i8', value: -129 },
    { type: 'u32', value: 1.5 },
    { type: 'u64', value: -1n },
    { type: 'string', value: 1 },
    { type: 'bool', value: 1 },
    { type: 'f32', value: 'x' },
    { type: 'array', of: 'i16', value: [0, 40000] },
  ];
  for (const value of wrong)
    assert.throws(() => write({ k: value }), /metadata key "k": expected a value of type/);
  assert.throws(() => write({}, [{ name: 'a', type: 'Q4_0', shape: [2, 31] }]), UsageError);
  assert.throws(() => write({}, [{ name: 'a', type: 'F32', shape: [0] }]), UsageError);
  assert.throws(() => write({}, [{ name: 'a'.repeat(64), type: 'F32', shape: [1] }]), UsageError);
  assert.throws(() => write({}, [tensors[0]!, tensors[0]!]), /found it twice/);
  assert.throws(() => write({}, [], 24), UsageError);
});
