// Hostile models of the hybrid families: seeded mutations of configurations, metadata and tensors of real
// small ones. Whatever is in them, a model is refused with an error of this package, or it runs and gives
// numbers, or sampling refuses what are none. Never a crash, a dead thread, or memory that the file does not
// warrant; a hang fails by the runner's timeout. A longer run:
//
//   FUZZ_COUNT=10000 node --test packages/engine/test/fuzz-families.test.ts
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { bytesSource } from '../src/formats/byte-source.ts';
import { readGguf } from '../src/formats/gguf-reader.ts';
import type { MetadataValue, TypedMetadataValue } from '../src/formats/gguf-values.ts';
import { createGgufWriter } from '../src/formats/gguf-writer.ts';
import { type LoadModelOptions, loadModel, MarimbaError, type Model } from '../src/index.ts';
import { below, mutateTree, pick, type Random, seededRandom } from './fuzz-mutations.ts';
import { FAMILY_MODELS, familyPath, hasFamilyFile } from './golden-families.ts';

const COUNT = Number(process.env.FUZZ_COUNT ?? 150);
const FIRST_SEED = Number(process.env.FUZZ_SEED ?? 1);
const LIMITS = { timeout: 3_600_000 };
/** A small model with its threads' stacks, activations of one pass and a page of cache. */
const MOST_BYTES = 2 ** 27;

type Files = { readonly name: string; readonly blob: Blob }[];
type Tree = Record<string, unknown>;
/** One tensor of a file, its header's entry apart from its data. */
interface Tensor {
  readonly name: string;
  readonly entry: Tree & { shape: number[] };
  readonly data: Uint8Array<ArrayBuffer>;
}

const outcomes = new Map<string, number>();
const refusals = new Set<string>();
const count = (what: string): void => void outcomes.set(what, (outcomes.get(what) ?? 0) + 1);

/** Loads, reads three tokens, samples two; says what became of it. */
async function outcomeOf(files: Files, options: LoadModelOptions): Promise<string> {
  let model: Model | null = null;
  try {
    model = await loadModel(files, { ...options, cacheType: 'f32', activations: 'f32', prefixCacheBytes: 0 });
    const { usedBytes } = model.memory;
    assert.ok(usedBytes < MOST_BYTES, `${usedBytes} bytes used`);
    const session = model.createSession();
    await session.complete([5, 6, 7], { maxTokens: 0 });
    const isNumberless = session.logits!.some(Number.isNaN);
    const { tokens } = await session.complete([], { temperature: 0, maxTokens: 2, ignoreEos: true });
    assert.ok(!isNumberless || tokens.length === 0, 'sampled from what is no number');
    return 'ran';
  } catch (error) {
    if (!(error instanceof MarimbaError)) throw error;
    assert.notEqual(error.code, 'worker-failed', String(error));
    assert.ok(error.message.length < 2000, `a message of ${error.message.length} characters`);
    refusals.add(error.message.replace(/\d+|"[^"]*"/g, '#'));
    return model ? 'refused to sample' : 'refused';
  } finally {
    await model?.close();
  }
}

async function attempt(what: string, files: Files, random: Random): Promise<void> {
  const options: LoadModelOptions = random() < 0.25 ? { threads: 1 } : { backend: 'reference' };
  const before = process.memoryUsage();
  try {
    count(await outcomeOf(files, options));
  } catch (error) {
    throw new Error(`${what}, ${JSON.stringify(options)}: not refused but failed`, { cause: error });
  }
  const after = process.memoryUsage();
  const grown = after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers;
  assert.ok(grown < MOST_BYTES, `${what}: ${grown} bytes allocated`);
}

/** Some tensors lost, renamed, reshaped, taken for another's, or with values that are no numbers. */
function mutateTensors(random: Random, tensors: readonly Tensor[]): Tensor[] {
  const at = below(random, tensors.length);
  const tensor = tensors[at]!;
  const other = tensors[below(random, tensors.length)]!;
  const { shape } = tensor.entry;
  const reshaped = (to: number[]): Tensor => ({ ...tensor, entry: { ...tensor.entry, shape: to } });
  const changes = [
    () => [],
    () => [{ ...tensor, name: `${tensor.name}2` }],
    () => [reshaped(shape.toReversed())],
    () => [reshaped([shape.reduce((a, b) => a * b, 1)])],
    () => [reshaped(shape.map((size, i) => (i === 0 && size % 2 === 0 ? size / 2 : size)))],
    () => [reshaped([1, ...shape])],
    () => [{ ...other, name: tensor.name }],
    () => [{ ...tensor, data: withOddValues(random, tensor.data) }],
  ] as const;
  return [...tensors.slice(0, at), ...pick(random, changes)(), ...tensors.slice(at + 1)];
}

function withOddValues(random: Random, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = data.slice();
  const view = new DataView(bytes.buffer);
  const odd = pick(random, [Number.NaN, Infinity, -Infinity, 1e38, -1e38, 1e-40] as const);
  const times = random() < 0.5 ? 1 : data.length >> 2;
  for (let i = 0; i < times; i++) view.setFloat32(4 * below(random, data.length >> 2), odd, true);
  return bytes;
}

interface Folder {
  readonly name: string;
  readonly config: Tree;
  readonly tensors: readonly Tensor[];
}

function readFolder(name: string, path: string): Folder {
  const bytes = new Uint8Array(readFileSync(`${path}/model.safetensors`));
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<string, Tree>;
  const { __metadata__, ...entries } = header;
  const tensors = Object.entries(entries).map(([tensor, entry]): Tensor => {
    const [from, to] = entry.data_offsets as [number, number];
    const data = bytes.slice(8 + length + from, 8 + length + to);
    return { name: tensor, entry: entry as Tensor['entry'], data };
  });
  return { name, config: JSON.parse(readFileSync(`${path}/config.json`, 'utf8')) as Tree, tensors };
}

function folderFiles({ config, tensors }: Folder): Files {
  const header: Tree = {};
  let at = 0;
  for (const { name, entry, data } of tensors) {
    header[name] = { ...entry, data_offsets: [at, at + data.length] };
    at += data.length;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
  const weights = new Blob([length, json, ...tensors.map(({ data }) => data)]);
  return [
    { name: 'config.json', blob: new Blob([JSON.stringify(config)]) },
    { name: 'model.safetensors', blob: weights },
  ];
}

test(`${COUNT} mutated folders of the hybrid families`, LIMITS, async () => {
  const folders = FAMILY_MODELS.map((name) => readFolder(name, familyPath(name)));
  outcomes.clear();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + COUNT; seed++) {
    const random = seededRandom(seed);
    let folder = folders[below(random, folders.length)]!;
    for (let i = 1 + below(random, 2); i > 0; i--)
      folder =
        random() < 0.75
          ? { ...folder, config: mutateTree(random, folder.config) }
          : { ...folder, tensors: mutateTensors(random, folder.tensors) };
    await attempt(`${folder.name}, seed ${seed}`, folderFiles(folder), random);
  }
  checkOutcomes();
});

interface Gguf {
  readonly name: string;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly tensors: readonly Tensor[];
}

async function readFile(name: string, path: string): Promise<Gguf> {
  const bytes = new Uint8Array(readFileSync(path));
  const { metadata, tensors } = await readGguf(bytesSource(name, bytes));
  return {
    name,
    metadata: new Map([...metadata].filter(([key]) => !key.startsWith('tokenizer.'))),
    tensors: [...tensors.values()].map(({ name: tensor, shape, type, offset, byteLength }) => ({
      name: tensor,
      entry: { type, shape: [...shape] },
      data: bytes.slice(offset, offset + byteLength),
    })),
  };
}

/** The reader does not keep types; keys of real numbers are few. */
const REAL = /epsilon|freq_base|scale|factor/;

function typed(key: string, value: unknown): TypedMetadataValue | null {
  if (typeof value === 'string') return { type: 'string', value };
  if (typeof value === 'boolean') return { type: 'bool', value };
  if (typeof value === 'number') {
    if (REAL.test(key) || !Number.isInteger(value)) return { type: 'f32', value };
    if (value < 0) return { type: 'i32', value: Math.max(value, -(2 ** 31)) };
    return value < 2 ** 32
      ? { type: 'u32', value }
      : { type: 'u64', value: BigInt(Math.min(value, 2 ** 53)) };
  }
  if (!Array.isArray(value)) return null;
  if (value.every((one) => typeof one === 'boolean')) return { type: 'array', of: 'bool', value };
  if (value.every((one) => typeof one === 'string')) return { type: 'array', of: 'string', value };
  const isInteger = (one: unknown) => Number.isInteger(one) && Math.abs(one as number) < 2 ** 31;
  return value.every(isInteger) ? { type: 'array', of: 'i32', value } : null;
}

function ggufFiles({ name, metadata, tensors }: Gguf): Files | null {
  const entries = [...metadata].flatMap(([key, value]) => {
    const found = typed(key, value);
    return found ? [[key, found] as const] : [];
  });
  const infos = tensors.map((tensor) => ({
    name: tensor.name,
    type: tensor.entry.type as 'F32',
    shape: tensor.entry.shape,
  }));
  try {
    const content = { metadata: new Map(entries), tensors: infos };
    const { header, tensors: placed, byteLength } = createGgufWriter(content);
    const bytes = new Uint8Array(byteLength);
    bytes.set(header);
    tensors.forEach(({ data }, i) => {
      bytes.set(data.subarray(0, placed[i]!.byteLength), placed[i]!.offset);
    });
    return [{ name: `${name}.gguf`, blob: new Blob([bytes]) }];
  } catch {
    return null; // no file can say this
  }
}

test(`${COUNT} mutated GGUF files of the hybrid families`, LIMITS, async () => {
  const names = FAMILY_MODELS.filter((name) => hasFamilyFile(name, 'f32'));
  const files = await Promise.all(names.map((name) => readFile(name, familyPath(name, 'f32'))));
  outcomes.clear();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + COUNT; seed++) {
    const random = seededRandom(seed);
    let file = files[below(random, files.length)]!;
    for (let i = 1 + below(random, 2); i > 0; i--) {
      if (random() < 0.7) {
        const tree = mutateTree(random, Object.fromEntries(file.metadata));
        file = { ...file, metadata: new Map(Object.entries(tree) as [string, MetadataValue][]) };
      } else file = { ...file, tensors: mutateTensors(random, file.tensors) };
    }
    const made = ggufFiles(file);
    if (made) await attempt(`${file.name}, seed ${seed}`, made, random);
    else count('no file');
  }
  checkOutcomes();
});

/** Both kinds of outcome are met, and refusals of many kinds. */
function checkOutcomes(): void {
  const told = [...outcomes].map(([what, times]) => `${times} ${what}`).join(', ');
  process.stderr.write(`${told}; ${refusals.size} kinds of message\n`);
  assert.ok((outcomes.get('ran') ?? 0) > COUNT / 20, told);
  assert.ok((outcomes.get('refused') ?? 0) > COUNT / 5, told);
  assert.ok(refusals.size > 15, `${refusals.size} kinds of message`);
}
