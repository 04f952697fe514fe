// Files that are not what their names say are called what they are, with what helps; none is called damaged.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormatError } from '../errors.ts';
import { bytesSource } from './byte-source.ts';
import { readGguf } from './gguf-reader.ts';
import { readJsonObject } from './json.ts';
import { readSafetensors } from './safetensors.ts';
import type { ByteSource } from './types.ts';

const latin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 4976698672\n`;

const impostors: [what: string, bytes: Uint8Array, found: RegExp, remedy: RegExp][] = [
  [
    'a Git LFS pointer',
    latin1(pointer),
    /a Git LFS pointer to a file of 4976698672 bytes \(135 bytes\)/,
    /git lfs pull/,
  ],
  ['an annex pointer', latin1('/annex/objects/SHA256E-s9--aa.gguf\n'), /git-annex pointer/, /annex get/],
  ['a login page', latin1('\n<!DOCTYPE html><html><head>'), /a web page/, /marimba pull/],
  ['a refusal', latin1('Entry not found\n'), /answer of a server: "Entry not found"/, /HF_TOKEN/],
  ['gzip', latin1('\x1f\x8b\x08\x00'), /found an archive \(gzip\)/, /Unpack it/],
  ['AppleDouble', latin1(`\x00\x05\x16\x07\x00\x02${'\0'.repeat(90)}`), /AppleDouble/, /without "\._"/],
  ['a pickle', latin1('PK\x03\x04archive/data.pkl'), /PyTorch checkpoint/, /GGUF/],
  ['a GGML file', latin1('tjgg\x03\x00\x00\x00and so on'), /GGML file/, /GGUF/],
  ['zeros', new Uint8Array(4096), /found zeros \(4096 bytes\)/, /fetch it again/],
  ['nothing', new Uint8Array(0), /found an empty file\./, /fetch it again/],
  ['UTF-16', latin1('\xff\xfe{\0"\0a\0"\0:\x001\0}\0'), /text in UTF-16/, /Save it in UTF-8/],
];

const readers: [string, (source: ByteSource) => Promise<unknown>][] = [
  ['model.gguf', readGguf],
  ['model.safetensors', readSafetensors],
  ['tokenizer.json', (source) => readJsonObject(source, { maxBytes: 1e6 })],
];
for (const [what, bytes, found, remedy] of impostors)
  for (const [name, read] of readers)
    test(`${what} as ${name}`, async () => {
      await assert.rejects(read(bytesSource(name, bytes)), (error: unknown) => {
        assert(error instanceof FormatError, String(error));
        assert(error.message.startsWith(`${name}: expected `), error.message);
        assert.match(error.message, found);
        assert.match(error.message, remedy);
        assert.doesNotMatch(error.message, /damaged/);
        return true;
      });
    });

test('each of the kinds in the place of another', async () => {
  const gguf = latin1('GGUF\x03\x00\x00\x00and so on');
  const safetensors = latin1('\x40\x00\x00\x00\x00\x00\x00\x00{"a":{}}');
  await assert.rejects(
    readSafetensors(bytesSource('m.safetensors', gguf)),
    /found a GGUF file .*ends in \.gguf/,
  );
  await assert.rejects(readGguf(bytesSource('m.gguf', safetensors)), /found a safetensors file/);
  await assert.rejects(readJsonObject(bytesSource('c.json', gguf), { maxBytes: 99 }), /found a GGUF file/);
});

test('the error that a server answers in JSON, in the place of weights', async () => {
  const answer = bytesSource('m.gguf', latin1('{"error":"Repository not found"}'));
  await assert.rejects(readGguf(answer), /found an answer of a server: "\{\\"error.*HF_TOKEN/);
});

test('a text that only begins like one is not taken for it', async () => {
  for (const text of ['{"abc": {"x" 1}}', '{"version": https://git-lfs.github.com/spec/v1'])
    await assert.rejects(
      readJsonObject(bytesSource('c.json', latin1(text)), { maxBytes: 99 }),
      /line 1, column/,
    );
});
