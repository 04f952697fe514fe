import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FormatError, UsageError } from '../errors.ts';
import { bytesSource } from './byte-source.ts';
import { readSafetensors, readSafetensorsFile, safetensorsHeader, safetensorsIndex } from './safetensors.ts';

const golden = new URL('../../../../fixtures/golden/', import.meta.url);

function fileOf(header: string, dataLength: number, claimed = header.length): Uint8Array {
  const bytes = new Uint8Array(8 + header.length + dataLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(claimed), true);
  bytes.set(new TextEncoder().encode(header), 8);
  return bytes;
}

test('golden checkpoints: every tensor is found, its bytes lie in the file', async () => {
  const folders = readdirSync(golden).filter((name) => name !== 'gguf' && !name.endsWith('.md'));
  assert.equal(folders.length, 6);
  for (const folder of folders) {
    const bytes = readFileSync(new URL(`${folder}/model.safetensors`, golden));
    const tensors = await readSafetensors(bytesSource('model.safetensors', bytes));
    const embedding = [...tensors.values()].find(({ name }) => /embed|backbone\.embeddings/.test(name));
    assert.equal(embedding?.shape.length, 2, folder);
    const total = [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    assert.equal(total, bytes.length - 8 - Number(bytes.readBigUInt64LE(0)));
  }
});

test('what is laid out reads back, F32 first, data aligned', async () => {
  const layout = safetensorsHeader(
    [
      { name: 'half', type: 'F16', shape: [3] },
      { name: 'full', type: 'F32', shape: [2, 3] },
      { name: 'scalar', type: 'BF16', shape: [] },
      { name: '__proto__', type: 'F32', shape: [1] },
    ],
    { format: 'pt', made: 'by "hand"' },
  );
  const bytes = new Uint8Array(layout.byteLength);
  bytes.set(layout.header);
  const read = await readSafetensors(bytesSource('m.safetensors', bytes));
  assert.deepEqual(
    [...read.values()].map(({ source, ...rest }) => rest),
    layout.tensors,
  );
  assert.equal(layout.tensors[0]?.name, 'full');
  assert.equal(layout.tensors[0]?.offset % 8, 0);
  assert.equal(layout.header.length % 8, 0);
  assert.throws(
    () =>
      safetensorsHeader([
        { name: 'a', type: 'F32', shape: [1] },
        { name: 'a', type: 'F32', shape: [1] },
      ]),
    UsageError,
  );
  assert.throws(() => safetensorsHeader([{ name: '__metadata__', type: 'F32', shape: [1] }]), UsageError);
});

test('an index maps tensors to files and counts their bytes', () => {
  const shards = new Map([
    ['model-00001-of-00002.safetensors', [{ name: 'a', type: 'F32', shape: [4] } as const]],
    ['model-00002-of-00002.safetensors', [{ name: 'b', type: 'BF16', shape: [2, 2] } as const]],
  ]);
  assert.deepEqual(safetensorsIndex(shards), {
    metadata: { total_size: 24 },
    weight_map: { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' },
  });
});

test('tensors of dtypes that no weight is read from are left out, and their bytes checked', async () => {
  const entry = (dtype: string, end: number) =>
    `{"ids":{"dtype":"${dtype}","shape":[2],"data_offsets":[0,${end}]}}`;
  const sizes = {
    F64: 16,
    I64: 16,
    U64: 16,
    I32: 8,
    U32: 8,
    I16: 4,
    U8: 2,
    BOOL: 2,
    F8_E4M3: 2,
    F4: 1,
    X9: 5,
  };
  for (const [dtype, size] of Object.entries(sizes)) {
    const source = (bytes: number) => bytesSource('m.safetensors', fileOf(entry(dtype, bytes), bytes));
    const { tensors, leftOut } = await readSafetensorsFile(source(size));
    assert.equal(tensors.size, 0);
    assert.deepEqual([...leftOut], [['ids', dtype]]);
    if (dtype !== 'X9')
      await assert.rejects(readSafetensors(source(size + 1)), /tensor "ids": expected \d+ bytes for/);
  }
});

const one = (fields: string) => `{"w":{${fields}}}`;
const good = '"dtype":"F32","shape":[2],"data_offsets":[0,8]';
const hostile: [string, Uint8Array, RegExp][] = [
  ['empty file', new Uint8Array(0), /expected a safetensors file, found an empty file/],
  ['short file', new Uint8Array([1, 2, 3]), /shorter than 8 bytes/],
  ['header length beyond the file', fileOf('{}', 0, 3), /header length: expected one inside the file/],
  ['header length of 2^64 − 1', fileOf('{}', 0, 2 ** 63), /header length/],
  ['broken JSON', fileOf('{"w":', 0), /header: line 1, column 6/],
  ['name twice', fileOf(`{"w":{${good}},"w":{${good}}}`, 8), /every key once/],
  ['deep nesting', fileOf(one('"shape":[[[[[]]]]]'), 0), /nested at most 4 deep/],
  ['entry not an object', fileOf('{"w":3}', 0), /tensor "w": expected an object/],
  ['missing dtype', fileOf(one('"shape":[2],"data_offsets":[0,8]'), 8), /expected a dtype/],
  [
    'fractional size',
    fileOf(one('"dtype":"F32","shape":[2.5],"data_offsets":[0,10]'), 10),
    /a shape of whole numbers/,
  ],
  [
    'negative size',
    fileOf(one('"dtype":"F32","shape":[-2],"data_offsets":[0,8]'), 8),
    /a shape of whole numbers/,
  ],
  [
    'huge size',
    fileOf(one('"dtype":"F32","shape":[1e300],"data_offsets":[0,8]'), 8),
    /a shape of whole numbers/,
  ],
  [
    'overflowing shape',
    fileOf(one('"dtype":"F32","shape":[9007199254740991,9007199254740991],"data_offsets":[0,8]'), 8),
    /tensor "w"/,
  ],
  ['one offset', fileOf(one('"dtype":"F32","shape":[2],"data_offsets":[8]'), 8), /two whole numbers/],
  [
    'offsets reversed',
    fileOf(one('"dtype":"F32","shape":[2],"data_offsets":[8,0]'), 8),
    /expected 8 bytes for F32 \[2\], found -8/,
  ],
  [
    'size unlike shape',
    fileOf(one('"dtype":"F32","shape":[3],"data_offsets":[0,8]'), 8),
    /expected 12 bytes/,
  ],
  ['outside the file', fileOf(one('"dtype":"F32","shape":[2],"data_offsets":[8,16]'), 8), /inside the file/],
  [
    'overlap',
    fileOf(`{"v":{${good}},"w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12),
    /inside tensor "v"/,
  ],
  ['bytes of no tensor', fileOf(one(good), 9), /expected 8 bytes.*found 9/],
  ['metadata not text', fileOf(`{"__metadata__":{"a":1}}`, 0), /__metadata__/],
];
for (const [what, bytes, message] of hostile) {
  test(`refuses: ${what}`, async () => {
    await assert.rejects(readSafetensors(bytesSource('m.safetensors', bytes)), (error: unknown) => {
      assert(error instanceof FormatError, String(error));
      assert.match(error.message, /^m\.safetensors: /);
      assert.match(error.message, message);
      return true;
    });
  });
}
