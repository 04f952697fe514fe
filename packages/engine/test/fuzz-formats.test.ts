// Hostile files: seeded mutations of real ones. Whatever the bytes, opening either succeeds with every tensor
// inside its file and apart from the others, or throws FormatError or ModelError that names the file; it
// reads no more than a few times the file and allocates no more than the file warrants. A hang fails by the
// runner's timeout. Only headers are kept in memory: the bodies of weights are zeros that exist in size
// alone.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FormatError, ModelError } from '../src/errors.ts';
import { checkRange } from '../src/formats/byte-source.ts';
import { openFolder } from '../src/formats/checkpoint.ts';
import { readGguf } from '../src/formats/gguf-reader.ts';
import { createGgufWriter } from '../src/formats/gguf-writer.ts';
import type { ModelFolder } from '../src/formats/model-folder.ts';
import { readSafetensors } from '../src/formats/safetensors.ts';
import { byteLengthOf } from '../src/formats/tensor-types.ts';
import type { ByteSource, Checkpoint, TensorEntry } from '../src/formats/types.ts';
import { below, join, mutateBytes, mutateJson, type Random, seededRandom } from './fuzz-mutations.ts';

const golden = new URL('../../../fixtures/golden/', import.meta.url);
const modelNames = readdirSync(golden).filter((name) => name !== 'gguf' && !name.endsWith('.md'));
const HANG = { timeout: 300_000 };

/** What one opening did; checked afterwards against the size of the file. */
interface Work {
  bytesRead: number;
  fileBytes: number;
}

/** `start`, then zeros up to `byteLength`. */
function zeroFilled(name: string, start: Uint8Array, byteLength: number, work: Work): ByteSource {
  work.fileBytes += byteLength;
  return {
    name,
    byteLength,
    handle: null,
    async read(offset, into) {
      checkRange(name, byteLength, offset, into.byteLength);
      work.bytesRead += into.byteLength;
      into.fill(0);
      into.set(start.subarray(offset, Math.min(start.length, offset + into.byteLength)));
    },
    async close() {},
  };
}

function checkTensors(tensors: Iterable<TensorEntry>): void {
  const ends = new Map<ByteSource, number>();
  for (const tensor of [...tensors].sort((a, b) => a.offset - b.offset)) {
    const { shape, type, offset, byteLength, source } = tensor;
    assert(Number.isSafeInteger(offset) && offset >= (ends.get(source) ?? 0), `${tensor.name} overlaps`);
    assert(offset + byteLength <= source.byteLength, `${tensor.name} lies outside`);
    assert.equal(
      byteLength,
      byteLengthOf(
        type,
        shape.reduce((product, size) => product * size, 1),
      ),
    );
    if (byteLength > 0) ends.set(source, offset + byteLength);
  }
}

const outcomes = { opened: 0, refused: 0, messages: new Set<string>() };

/** Opens once and checks everything that must hold. `fileName` must be in the message of a refusal. */
async function attempt(
  describe: string,
  fileName: string,
  open: (work: Work) => Promise<Iterable<TensorEntry>>,
): Promise<void> {
  const work: Work = { bytesRead: 0, fileBytes: 0 };
  const before = process.memoryUsage();
  try {
    checkTensors(await open(work));
    outcomes.opened++;
  } catch (error) {
    const expected = error instanceof FormatError || error instanceof ModelError;
    if (!expected) throw new Error(`${describe}: not refused but failed`, { cause: error });
    assert(error.message.includes(fileName), `${describe}: no file name in: ${error.message}`);
    assert(error.message.length < 2000, `${describe}: a message of ${error.message.length} characters`);
    outcomes.refused++;
    outcomes.messages.add(error.message.replace(/\d+|"[^"]*"/g, '#'));
  }
  const after = process.memoryUsage();
  const grown = after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers;
  assert(work.bytesRead <= 3 * work.fileBytes, `${describe}: ${work.bytesRead} bytes read`);
  assert(grown < 32e6 + 16 * work.fileBytes, `${describe}: ${grown} bytes allocated`);
}

/** The seed of each mutation, so that a failure can be repeated alone. */
async function fuzz(count: number, run: (random: Random, seed: string) => Promise<void>): Promise<void> {
  outcomes.opened = 0;
  outcomes.refused = 0;
  outcomes.messages.clear();
  for (let seed = 1; seed <= count; seed++) await run(seededRandom(seed), `seed ${seed}`);
  assert.equal(outcomes.opened + outcomes.refused, count);
}

interface Header {
  readonly name: string;
  readonly header: Uint8Array;
  readonly bodyLength: number;
}

async function ggufHeaders(): Promise<Header[]> {
  const folder = new URL('gguf/', golden);
  const names = readdirSync(folder).filter((name) => name.endsWith('.gguf'));
  const headers: { name: string; bytes: Uint8Array }[] = names.map((name) => {
    const bytes = readFileSync(new URL(name, folder));
    return { name, bytes: new Uint8Array(bytes) };
  });
  const vocabulary = createGgufWriter({
    metadata: new Map([
      ['general.alignment', { type: 'u32', value: 64 }],
      [
        'tokenizer.ggml.tokens',
        { type: 'array', of: 'string', value: Array.from({ length: 300 }, (_, i) => `▁${i}`) },
      ],
      [
        'tokenizer.ggml.scores',
        { type: 'array', of: 'f32', value: Array.from({ length: 300 }, (_, i) => -i) },
      ],
      [
        'nested',
        { type: 'array', of: 'array', value: [{ type: 'array', of: 'u64', value: [1, 2n ** 60n] }] },
      ],
    ]),
    alignment: 64,
    tensors: [
      { name: 'a', type: 'Q4_K', shape: [4, 256] },
      { name: 'b', type: 'Q5_0', shape: [2, 3, 32] },
    ],
  });
  headers.push({
    name: 'vocabulary.gguf',
    bytes: join(vocabulary.header, new Uint8Array(vocabulary.byteLength - vocabulary.header.length)),
  });
  return Promise.all(
    headers.map(async ({ name, bytes }) => {
      const work: Work = { bytesRead: 0, fileBytes: 0 };
      const { tensors } = await readGguf(zeroFilled(name, bytes, bytes.length, work));
      const start = Math.min(...[...tensors.values()].map(({ offset }) => offset));
      return { name, header: bytes.slice(0, start), bodyLength: bytes.length - start };
    }),
  );
}

test('9,000 mutated GGUF headers', HANG, async () => {
  const corpus = await ggufHeaders();
  assert.equal(corpus.length, 19);
  await fuzz(9000, async (random, seed) => {
    const { name, header, bodyLength } = corpus[below(random, corpus.length)] ?? assert.fail();
    // Half of the mutations go into the first 4 KiB, where metadata and the first descriptions are.
    const edge = random() < 0.5 ? Math.min(4096, header.length) : header.length;
    const start = join(mutateBytes(random, header.subarray(0, edge)), header.subarray(edge));
    const body = random() < 0.1 ? below(random, bodyLength) : bodyLength;
    await attempt(`${name}, ${seed}`, name, async (work) =>
      (await readGguf(zeroFilled(name, start, start.length + body, work))).tensors.values(),
    );
  });
  assert(
    outcomes.opened > 200 && outcomes.refused > 2000,
    `${outcomes.opened} opened, ${outcomes.refused} refused`,
  );
  assert(outcomes.messages.size > 20, `${outcomes.messages.size} kinds of message`);
});

function safetensorsHeaders(): Header[] {
  return modelNames.map((name) => {
    const bytes = readFileSync(new URL(`${name}/model.safetensors`, golden));
    const headerLength = 8 + Number(bytes.readBigUInt64LE(0));
    return {
      name,
      header: new Uint8Array(bytes.subarray(0, headerLength)),
      bodyLength: bytes.length - headerLength,
    };
  });
}

/**
 * Mutates the JSON and mostly mends the length before it, so that what lies behind the length check is
 * reached.
 */
function mutateSafetensors(random: Random, header: Uint8Array): Uint8Array {
  if (random() < 0.2) return mutateBytes(random, header);
  const json = header.subarray(8);
  const mutated = random() < 0.5 ? mutateJson(random, json) : mutateBytes(random, json);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(mutated.length), true);
  return join(length, mutated);
}

test('4,000 mutated safetensors headers', HANG, async () => {
  const corpus = safetensorsHeaders();
  await fuzz(4000, async (random, seed) => {
    const { name, header, bodyLength } = corpus[below(random, corpus.length)] ?? assert.fail();
    const start = mutateSafetensors(random, header);
    const body = random() < 0.1 ? below(random, bodyLength) : bodyLength;
    await attempt(`${name}, ${seed}`, 'model.safetensors', async (work) =>
      (await readSafetensors(zeroFilled('model.safetensors', start, start.length + body, work))).values(),
    );
  });
  assert(
    outcomes.opened > 100 && outcomes.refused > 1500,
    `${outcomes.opened} opened, ${outcomes.refused} refused`,
  );
  assert(outcomes.messages.size > 20, `${outcomes.messages.size} kinds of message`);
});

/** A whole folder with an index and a small tokenizer; `files` holds what is not zeros. */
function folderOf(
  files: ReadonlyMap<string, { start: Uint8Array; byteLength: number }>,
  work: Work,
): ModelFolder {
  return {
    name: 'folder',
    files: [...files.keys()],
    modules: [],
    async open(fileName) {
      const file = files.get(fileName);
      if (file === undefined) throw new FormatError(`${fileName}: no such file`);
      return zeroFilled(fileName, file.start, file.byteLength, work);
    },
  };
}

const textEncoder = new TextEncoder();

function folderTexts(name: string, weights: Header): Map<string, Uint8Array> {
  const json = JSON.parse(new TextDecoder().decode(weights.header.subarray(8))) as { [key: string]: unknown };
  const tensors = Object.keys(json).filter((key) => key !== '__metadata__');
  const index = {
    metadata: {},
    weight_map: Object.fromEntries(tensors.map((key) => [key, 'model.safetensors'])),
  };
  const vocab = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`▁t${i}`, i]));
  const tokenizer = {
    version: '1.0',
    added_tokens: [{ id: 0, content: '<unk>', special: true }],
    model: { type: 'BPE', vocab, merges: [['a', 'b']] },
  };
  const texts = new Map([
    ['model.safetensors.index.json', textEncoder.encode(JSON.stringify(index))],
    ['tokenizer.json', textEncoder.encode(JSON.stringify(tokenizer, null, 2))],
    [
      'tokenizer_config.json',
      textEncoder.encode(JSON.stringify({ chat_template: [{ name: 'default', template: '{{ x }}' }] })),
    ],
  ]);
  for (const file of ['config.json', 'generation_config.json']) {
    texts.set(file, new Uint8Array(readFileSync(new URL(`${name}/${file}`, golden))));
  }
  return texts;
}

async function openEverything(folder: ModelFolder): Promise<Checkpoint> {
  const checkpoint = await openFolder(folder);
  if (checkpoint.kind === 'huggingface') {
    await checkpoint.tokenizerJson();
    await checkpoint.tokenizerConfig();
    await checkpoint.chatTemplates();
  }
  return checkpoint;
}

test('3,000 mutated texts of Hugging Face folders', HANG, async () => {
  const corpus = safetensorsHeaders().map((weights) => ({
    weights,
    texts: folderTexts(weights.name, weights),
  }));
  await fuzz(3000, async (random, seed) => {
    const { weights, texts } = corpus[below(random, corpus.length)] ?? assert.fail();
    const names = [...texts.keys()];
    const mutatedName = names[below(random, names.length)] ?? assert.fail();
    const files = new Map([
      [
        'model.safetensors',
        { start: weights.header, byteLength: weights.header.length + weights.bodyLength },
      ],
    ]);
    for (const [name, bytes] of texts) {
      const mutate = random() < 0.5 ? mutateJson : mutateBytes;
      const start = name === mutatedName ? mutate(random, bytes) : bytes;
      files.set(name, { start, byteLength: start.length });
    }
    await attempt(`${weights.name}, ${mutatedName}, ${seed}`, mutatedName, async (work) =>
      (await openEverything(folderOf(files, work))).tensors.values(),
    );
  });
  assert(
    outcomes.opened > 300 && outcomes.refused > 1000,
    `${outcomes.opened} opened, ${outcomes.refused} refused`,
  );
});
