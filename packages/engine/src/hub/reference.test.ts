import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../errors.ts';
import { pathProblem } from './names.ts';
import { formatReference, parseHubReference, parseReference } from './reference.ts';

const hub = (text: string) => {
  const reference = parseReference(text);
  assert.equal(reference.kind, 'hub', text);
  return reference.kind === 'hub'
    ? [reference.repository, reference.revision, reference.quantization, reference.file]
    : [];
};

test('the spellings of a hub name', () => {
  assert.deepEqual(hub('ai21labs/AI21-Jamba2-3B'), ['ai21labs/AI21-Jamba2-3B', null, null, null]);
  assert.deepEqual(hub('owner/name@v1.0'), ['owner/name', 'v1.0', null, null]);
  assert.deepEqual(hub('owner/name@refs/pr/1'), ['owner/name', 'refs/pr/1', null, null]);
  assert.deepEqual(hub('owner/name:Q4_K_M'), ['owner/name', null, 'Q4_K_M', null]);
  assert.deepEqual(hub('owner/name:latest'), ['owner/name', null, null, null]);
  assert.deepEqual(hub('owner/name@main:q8_0'), ['owner/name', 'main', 'q8_0', null]);
  assert.deepEqual(hub('owner/name/sub/file.gguf'), ['owner/name', null, null, 'sub/file.gguf']);
  assert.deepEqual(hub('owner/name@main/file.gguf'), ['owner/name', 'main', null, 'file.gguf']);
  assert.deepEqual(hub('hf.co/owner/name:Q4_0'), ['owner/name', null, 'Q4_0', null]);
  assert.deepEqual(hub('hf://owner/name'), ['owner/name', null, null, null]);
  assert.deepEqual(hub('https://huggingface.co/owner/name'), ['owner/name', null, null, null]);
  assert.deepEqual(hub('https://huggingface.co/owner/name/tree/dev'), ['owner/name', 'dev', null, null]);
  assert.deepEqual(hub('https://huggingface.co/owner/name/resolve/main/a/b.gguf?download=true'), [
    'owner/name',
    'main',
    null,
    'a/b.gguf',
  ]);
});

test('formatting a reference gives text that parses to it again', () => {
  for (const text of [
    'owner/name',
    'owner/name@v1',
    'owner/name:Q4_K_M',
    'owner/name@v1/x.gguf',
    'owner/name@v1:Q8_0',
  ]) {
    assert.equal(formatReference(parseHubReference(text)), text);
  }
});

test('paths and other URLs', () => {
  for (const text of [
    './a/b',
    '../a',
    '/a/b',
    '~/m',
    'model.gguf',
    'models/model.gguf',
    'C:\\m\\a',
    'a\\b',
    'folder',
  ]) {
    assert.deepEqual(parseReference(text), { kind: 'path', path: text });
  }
  assert.deepEqual(parseReference('https://example.org/m.gguf'), {
    kind: 'url',
    url: 'https://example.org/m.gguf',
  });
  assert.deepEqual(
    parseReference('owner/name', () => true),
    { kind: 'path', path: 'owner/name' },
  );
});

test('names that no hub gives out are refused', () => {
  const texts = [
    '',
    'owner/..',
    'a/b/../../c.gguf',
    'a/b/../c',
    'owner/na me',
    'owner/name@../x',
    'owner/name@',
    'owner/name:',
    'owner/name:../x',
    'owner/-name',
    'owner/name.git',
    'owner/na--me',
    'con/name',
    'a/b/c',
    'owner/name\0',
    'owner/name//x.gguf',
    'https://huggingface.co/owner/name/blob/main/%2e%2e%2f%2e%2e%2fx.gguf',
    'https://huggingface.co/owner/name/discussions/1',
  ];
  for (const text of texts) assert.throws(() => parseReference(text), UsageError, JSON.stringify(text));
});

test('paths inside a repository that must not be written', () => {
  for (const path of [
    '',
    '/etc/passwd',
    '../x',
    'a/../b',
    'a//b',
    './a',
    'a\\b',
    'a\0b',
    'C:x',
    'nul',
    'a/con.json',
    'a.',
    'a/b ',
    'x'.repeat(201),
  ]) {
    assert.notEqual(pathProblem(path), null, JSON.stringify(path));
  }
  for (const path of ['config.json', 'sub/model-00001-of-00002.gguf', '.gitattributes', 'a..b'])
    assert.equal(pathProblem(path), null, path);
});
