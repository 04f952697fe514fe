import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubError } from '../errors.ts';
import type { HubFile } from './api.ts';
import { chooseFiles } from './choose.ts';
import { parseHubReference } from './reference.ts';

const listing = (...paths: string[]): HubFile[] =>
  paths.map((path, index) => ({
    path,
    byteLength: 1000 - index,
    digest: { algorithm: 'sha256', hex: '0'.repeat(64) },
  }));
const choose = (reference: string, ...paths: string[]) => {
  const { kind, files, entry } = chooseFiles(listing(...paths), parseHubReference(reference));
  return { kind, entry, files: files.map(({ path }) => path) };
};

test('a Hugging Face folder: configuration, tokenizer and weights, nothing else', () => {
  const needed = [
    'config.json',
    'generation_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'chat_template.jinja',
    'special_tokens_map.json',
  ];
  const weights = [
    'model-00001-of-00002.safetensors',
    'model-00002-of-00002.safetensors',
    'model.safetensors.index.json',
  ];
  const unneeded = [
    'README.md',
    'pytorch_model.bin',
    'consolidated.safetensors',
    'images/a.png',
    'sub/config.json',
    'x-Q4_K_M.gguf',
  ];
  const { kind, entry, files } = choose('o/n', ...needed, ...weights, ...unneeded);
  assert.equal(kind, 'huggingface');
  assert.equal(entry, null);
  assert.deepEqual(files.toSorted(), [...needed, ...weights].toSorted());
});

test('one model.safetensors wins over shards and their index', () => {
  const { files } = choose(
    'o/n',
    'config.json',
    'model.safetensors',
    'model-00001-of-00001.safetensors',
    'model.safetensors.index.json',
  );
  assert.deepEqual(files, ['config.json', 'model.safetensors']);
});

test('GGUF: the quantisation asked for, whatever the case, as a whole label', () => {
  const files = [
    'm-Q4_K_S.gguf',
    'm-Q4_K_M.gguf',
    'm.Q4_0.gguf',
    'm-IQ4_XS.gguf',
    'm-f16.gguf',
    'config.json',
  ];
  assert.deepEqual(choose('o/n:q4_k_m', ...files).files, ['m-Q4_K_M.gguf']);
  assert.deepEqual(choose('o/n:Q4_0', ...files).files, ['m.Q4_0.gguf']);
  assert.deepEqual(choose('o/n:F16', ...files).files, ['m-f16.gguf']);
  assert.throws(
    () => choose('o/n:Q4_K', ...files),
    /no GGUF file with quantisation Q4_K\. It has .*m-Q4_K_M\.gguf/,
  );
});

test('GGUF: without a wish Q4_K_M, else what is nearest, else the smallest; never a vision projector', () => {
  assert.equal(choose('o/n', 'm-Q8_0.gguf', 'm-Q4_K_M.gguf', 'm-Q4_0.gguf').entry, 'm-Q4_K_M.gguf');
  assert.equal(choose('o/n', 'm-Q8_0.gguf', 'm-f16.gguf').entry, 'm-Q8_0.gguf');
  assert.equal(choose('o/n', 'large.gguf', 'small.gguf').entry, 'small.gguf');
  assert.equal(choose('o/n', 'm.gguf', 'mmproj-Q4_K_M.gguf').entry, 'm.gguf');
});

test('GGUF: all parts of a split file, by quantisation or by any part', () => {
  const parts = [
    'Q8_0/m-Q8_0-00001-of-00003.gguf',
    'Q8_0/m-Q8_0-00002-of-00003.gguf',
    'Q8_0/m-Q8_0-00003-of-00003.gguf',
  ];
  for (const reference of ['o/n', 'o/n:Q8_0', `o/n/${parts[1]}`]) {
    const { entry, files } = choose(reference, ...parts.toReversed(), 'm-Q2_K.gguf');
    assert.equal(entry, parts[0]);
    assert.deepEqual(files, parts);
  }
  assert.throws(() => choose('o/n:Q8_0', parts[0] ?? '', parts[2] ?? ''), /part 2 of 3/);
});

test('repositories without anything to run say why', () => {
  assert.throws(() => choose('o/n', 'config.json', 'pytorch_model.bin'), /PyTorch pickles/);
  assert.throws(() => choose('o/n', 'adapter.safetensors'), /no config\.json/);
  assert.throws(() => choose('o/n', 'README.md'), HubError);
  assert.throws(
    () => choose('o/n/other.gguf', 'm-Q4_0.gguf'),
    /has no file other\.gguf\. It has m-Q4_0\.gguf/,
  );
});

test('a chosen name that means something else on another system is refused', () => {
  assert.throws(() => choose('o/n', '..\\..\\m-Q4_0.gguf'), /is refused/);
});
