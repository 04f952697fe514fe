import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FormatError, type Tokenizer, UsageError } from '@marimba/engine';
import { splitDocuments, type TextPart, textBatches, textWindows } from './batches.ts';
import { decodeUtf8, readDocuments } from './documents.ts';
import { diskError, tokenise } from './token-file.ts';
import { trainTokenizer } from './tokenizer-file.ts';

const folder = await mkdtemp(join(tmpdir(), 'marimba-data-'));
after(() => rm(folder, { recursive: true }));
const { tokenizer } = trainTokenizer(['the whale the sea the ship'], { vocabularySize: 262 });

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function all(paths: string[]): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of readDocuments(paths)) texts.push(text);
  return texts;
}

test('reads text, JSONL and folders', async () => {
  const text = await file('a.txt', 'one\ntwo');
  const lines = await file('b.jsonl', '{"text":"three"}\r\n\n{"text":"four","id":1}');
  assert.deepEqual(await all([text, lines]), ['one\ntwo', 'three', 'four']);
  assert.deepEqual(await all([folder]), ['one\ntwo', 'three', 'four']);
});

test('names what is wrong with an input', async () => {
  await assert.rejects(all([join(folder, 'none.txt')]), /found nothing there/);
  await assert.rejects(
    all([await file('empty.txt', '')]),
    (e) => e instanceof FormatError && /empty file/.test(e.message),
  );
  await assert.rejects(
    all([await file('bad.txt', Uint8Array.of(65, 66, 0xc3, 0x28))]),
    /bad\.txt: byte 2: .*0xc3/,
  );
  await assert.rejects(
    all([await file('bad.jsonl', '{"text":"x"}\n{"text":}\n')]),
    /bad\.jsonl:2: expected one JSON object/,
  );
  await assert.rejects(
    all([await file('field.jsonl', '{"text":"x"}\n{"txt":"x"}\n')]),
    /field\.jsonl:2: text: /,
  );
  await assert.rejects(all([]), UsageError);
});

test('finds the first byte that is not UTF-8', () => {
  const cases: [number[], number][] = [
    [[0xff], 0],
    [[0x41, 0xe0, 0x80, 0x80], 1],
    [[0xed, 0xa0, 0x80], 0],
    [[0xc3, 0xa9, 0xf4, 0x90, 0x80, 0x80], 2],
    [[0x41, 0xe2, 0x82], 1],
  ];
  for (const [bytes, at] of cases)
    assert.throws(() => decodeUtf8(Uint8Array.from(bytes), 'x'), new RegExp(`byte ${at}:`));
  assert.equal(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x41), 'x'), 'A');
});

test('tokens are cached by content and made again when the cache is damaged', async () => {
  const path = await file('cached.jsonl', '{"text":"the whale"}\n{"text":"the sea"}\n');
  const cacheFolder = join(folder, 'cache');
  let encoded = 0;
  const countedEncode = (text: string) => {
    encoded++;
    return tokenizer.encode(text);
  };
  const counting: Tokenizer = Object.create(tokenizer, {
    encode: { value: countedEncode },
    special: { value: tokenizer.special },
    vocabularySize: { value: tokenizer.vocabularySize },
  });
  const read = () => tokenise([path], { tokenizer: counting, tokenizerHash: 'h', cacheFolder });
  const first = await read();
  assert.deepEqual(await read(), first);
  assert.equal(encoded, 2);
  const texts = [...first.starts]
    .slice(0, -1)
    .map((start, d) => tokenizer.decode([...first.tokens.subarray(start, first.starts[d + 1])]));
  assert.deepEqual(texts, ['the whale<|endoftext|>', 'the sea<|endoftext|>']);
  const [name] = (await readdir(cacheFolder)).filter((n) => n.endsWith('.tokens'));
  await writeFile(join(cacheFolder, name!), new Uint8Array(first.tokens.byteLength));
  assert.deepEqual(await read(), first);
  assert.equal(encoded, 4);
  await writeFile(path, '{"text":"the ship"}\n');
  assert.notEqual((await read()).hash, first.hash);
});

const data = (lengths: number[]) => {
  const starts = [0];
  for (const l of lengths) starts.push(starts.at(-1)! + l);
  return {
    tokens: Uint16Array.from({ length: starts.at(-1)! }, (_, i) => i),
    starts: Uint32Array.from(starts),
    byteLengths: Uint32Array.from(lengths),
    vocabularySize: 1000,
    hash: '',
  };
};

test('held-out documents are whole, disjoint and follow from the seed', () => {
  const source = data(Array.from({ length: 30 }, (_, i) => 3 + (i % 7)));
  const { training, heldOut } = splitDocuments(source, 0.2, 5);
  assert.deepEqual(splitDocuments(source, 0.2, 5), { training, heldOut });
  assert.notDeepEqual(splitDocuments(source, 0.2, 6).heldOut, heldOut);
  assert.deepEqual(
    [...training.tokens, ...heldOut.tokens].sort((a, b) => a - b),
    [...source.tokens],
  );
  assert.ok(heldOut.tokens.length >= source.tokens.length * 0.2);
  for (const start of heldOut.starts) assert.ok(source.starts.includes(heldOut.tokens[start]!));
  const single = splitDocuments(data([100]), 0.1);
  assert.deepEqual([single.training.tokens.length, single.heldOut.tokens.length], [90, 10]);
  assert.throws(() => splitDocuments(data([1])), /at least 4 tokens, |at least 4 tokens/);
});

const part: TextPart = {
  tokens: Uint16Array.from({ length: 41 }, (_, i) => i),
  starts: [0, 13, 20],
  byteLength: 41,
};

test('an epoch of batches visits every window once; targets follow tokens; documents are marked', () => {
  const batches = textBatches(part, { sequences: 2, length: 10, seed: 3 });
  assert.deepEqual(batches(7), batches(7));
  const rows = [batches(0), batches(1)].flatMap((b) => [b.tokens[0]!, b.tokens[10]!]);
  assert.deepEqual(
    rows.toSorted((a, b) => a - b),
    [0, 10, 20, 30],
  );
  const [first] = textWindows(part, { sequences: 4, length: 10 });
  assert.deepEqual([...first!.documentStarts], [0, 10, 13, 20, 30]);
  assert.equal(first!.targets[12], -1);
  assert.equal(first!.targets[19], -1, 'a document starts right after the window');
  for (const i of [0, 11, 13, 25]) assert.equal(first!.targets[i], first!.tokens[i]! + 1);
});

test('a sequence longer than the text is refused', () => {
  assert.throws(() => textBatches(part, { sequences: 1, length: 41, seed: 0 }), /at most 40 .*found 41/);
});

test('a full disk is named, other errors stay what they are', {
  skip: process.platform !== 'linux',
}, async () => {
  const full = await appendFile('/dev/full', 'x').catch((error: unknown) => error);
  const named = diskError('results.jsonl', full);
  assert.ok(
    named instanceof FormatError &&
      /results\.jsonl: .*disk is full.*what was finished is kept/.test(named.message),
  );
  const other = new Error('x');
  assert.equal(diskError('y', other), other);
});
