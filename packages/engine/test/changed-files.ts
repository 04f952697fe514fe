// Golden models with changes, written as files of their own: what people have differs from what converters
// write today in a key, a tensor or a file beside the others.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fileSource } from '../src/formats/byte-source.node.ts';
import { readGguf } from '../src/formats/gguf-reader.ts';
import type { TypedMetadataValue } from '../src/formats/gguf-values.ts';
import { createGgufWriter } from '../src/formats/gguf-writer.ts';
import { readSafetensors } from '../src/formats/safetensors.ts';
import type { TensorType } from '../src/formats/types.ts';
import { loadModel } from '../src/index.ts';

const fixtures = fileURLToPath(new URL('../../../fixtures/', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'marimba-files-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

/** A tensor with its bytes. `type`: any text, in safetensors also one that is not read. */
export interface FileTensor {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

export const fixturePath = (path: string): string => join(fixtures, path);
export const newFolder = (): string => mkdtempSync(join(root, 'case-'));

/** A tensor of F32. */
export const floats = (name: string, shape: readonly number[], fill = 0): FileTensor => ({
  name,
  type: 'F32',
  shape,
  data: new Uint8Array(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(fill).buffer),
});

async function withData(
  tensors: Iterable<{
    name: string;
    type: string;
    shape: readonly number[];
    byteLength: number;
    offset: number;
    source: { read(offset: number, into: Uint8Array): Promise<void> };
  }>,
): Promise<FileTensor[]> {
  const all: FileTensor[] = [];
  for (const { name, type, shape, byteLength, offset, source } of tensors) {
    const data = new Uint8Array(byteLength);
    await source.read(offset, data);
    all.push({ name, type, shape, data });
  }
  return all;
}

/** A GGUF file of the fixtures with other metadata (null takes a key out) and tensors. */
export async function changedGguf(
  fixture: string,
  keys: Readonly<Record<string, TypedMetadataValue | null>> = {},
  change: (tensors: FileTensor[]) => FileTensor[] = (tensors) => tensors,
): Promise<string> {
  await using file = await readGguf(await fileSource(fixturePath(fixture)));
  const metadata = new Map(file.typedMetadata);
  for (const [key, value] of Object.entries(keys))
    if (value === null) metadata.delete(key);
    else metadata.set(key, value);
  const tensors = change(await withData(file.tensors.values()));
  const layout = createGgufWriter({
    metadata,
    tensors: tensors.map((tensor) => ({ ...tensor, type: tensor.type as TensorType })),
  });
  const bytes = new Uint8Array(layout.byteLength);
  bytes.set(layout.header);
  layout.tensors.forEach(({ offset }, i) => bytes.set(tensors[i]!.data, offset));
  const path = join(newFolder(), 'model.gguf');
  writeFileSync(path, bytes);
  return path;
}

/** A folder of the fixtures with another configuration, other tensors, and files beside or instead of its own. */
export async function changedFolder(
  fixture: string,
  {
    config = {},
    tensors = (all) => all,
    files = {},
  }: {
    readonly config?: Readonly<Record<string, unknown>>;
    readonly tensors?: (all: FileTensor[]) => FileTensor[];
    readonly files?: Readonly<Record<string, string | Uint8Array>>;
  } = {},
): Promise<string> {
  const folder = newFolder();
  cpSync(fixturePath(fixture), folder, { recursive: true });
  const own = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...own, ...config }));
  const source = await fileSource(join(folder, 'model.safetensors'));
  const all = await withData((await readSafetensors(source)).values());
  await source.close();
  writeFileSync(join(folder, 'model.safetensors'), safetensorsBytes(tensors(all)));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

/** Any dtype: the engine's own writer has only those that it reads. */
function safetensorsBytes(tensors: readonly FileTensor[]): Buffer {
  let at = 0;
  const entries = tensors.map(({ name, type: dtype, shape, data }) => {
    const range = [at, (at += data.length)];
    return [name, { dtype, shape, data_offsets: range }] as const;
  });
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([size, json, ...tensors.map(({ data }) => data)]);
}

export const TOKENS = [1, 17, 89, 5, 60, 33, 2, 8, 77, 40, 3, 4, 9, 12, 71, 80];

/** Logits after TOKENS. */
export async function logitsOf(path: string): Promise<Float32Array> {
  await using model = await loadModel(path, { backend: 'reference', cacheType: 'f32' });
  return (await model.createSession().prefill(TOKENS)).slice();
}

/** The small byte-level vocabulary: 408 tokens, the last five of them added. */
export const smallTokenizer = (): {
  model: { vocab: Record<string, number>; merges: (string | string[])[] };
  added_tokens: { id: number; content: string; special: boolean }[];
} => JSON.parse(readFileSync(fixturePath('tokenizers/byte-level-gpt2.json'), 'utf8')).tokenizer;

/** As many rows of the embedding and the head as there are tokens: those there are, again and again. */
export const withRows =
  (rows: number) =>
  (tensors: FileTensor[]): FileTensor[] =>
    tensors.map((tensor) => {
      if (!/^(lm_head|model\.embed_tokens|output|token_embd)\.weight$/.test(tensor.name)) return tensor;
      const [count = 1, columns = 1] = tensor.shape;
      const row = tensor.data.length / count;
      const data = new Uint8Array(rows * row);
      for (let i = 0; i < rows; i++)
        data.set(tensor.data.subarray((i % count) * row, ((i % count) + 1) * row), i * row);
      return { ...tensor, shape: [rows, columns], data };
    });
