import assert from 'node:assert/strict';
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FormatError, UsageError } from '../errors.ts';
import { openCheckpointPath } from './checkpoint.node.ts';
import { openCheckpointFiles } from './checkpoint.ts';
import { type SafetensorsInfo, safetensorsHeader, safetensorsIndex } from './safetensors.ts';
import type { Checkpoint } from './types.ts';

const golden = fileURLToPath(new URL('../../../../fixtures/golden/', import.meta.url));

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'marimba-checkpoint-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

async function bytesOf(checkpoint: Checkpoint, name: string): Promise<Uint8Array> {
  const tensor = checkpoint.tensors.get(name);
  assert(tensor !== undefined, name);
  const bytes = new Uint8Array(tensor.byteLength);
  await tensor.source.read(tensor.offset, bytes);
  return bytes;
}

function refused(promise: Promise<unknown>, message: RegExp): Promise<void> {
  return assert.rejects(promise, (error: unknown) => {
    assert(error instanceof FormatError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

/** A checkpoint in two files, with an index; `change` may replace entries of the weight map. */
async function writeSharded(folder: string, change: { [tensor: string]: unknown } = {}): Promise<void> {
  const shards = new Map<string, SafetensorsInfo[]>([
    ['model-00001-of-00002.safetensors', [{ name: 'a', type: 'F32', shape: [2] }]],
    ['model-00002-of-00002.safetensors', [{ name: 'b', type: 'F32', shape: [3] }]],
  ]);
  for (const [file, tensors] of shards) {
    const layout = safetensorsHeader(tensors);
    const bytes = new Uint8Array(layout.byteLength).fill(7, layout.header.length);
    bytes.set(layout.header);
    await writeFile(join(folder, file), bytes);
  }
  const index = safetensorsIndex(shards);
  const json = { ...index, weight_map: { ...(index.weight_map as object), ...change } };
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify(json));
  await writeFile(join(folder, 'config.json'), '{"model_type": "jamba"}');
}

test('a Hugging Face folder, its safetensors file, and the same files from a browser', async () => {
  const path = join(golden, 'llama-tiny');
  const names = ['config.json', 'generation_config.json', 'model.safetensors'];
  const files = await Promise.all(
    names.map(async (name) => ({
      name: `picked/${name}`,
      blob: new Blob([await readFile(join(path, name))]),
    })),
  );
  const opened = [
    await openCheckpointPath(path),
    await openCheckpointPath(join(path, 'model.safetensors')),
    await openCheckpointFiles(files),
  ];
  for (const checkpoint of opened) {
    assert(checkpoint.kind === 'huggingface');
    assert.equal(checkpoint.config.model_type, 'llama');
    assert.equal(checkpoint.generationConfig?.eos_token_id, 2);
    assert.equal(await checkpoint.tokenizerJson(), null);
    assert.equal((await checkpoint.chatTemplates()).size, 0);
    const name = 'model.norm.weight';
    assert.deepEqual(await bytesOf(checkpoint, name), await bytesOf(opened[0] as Checkpoint, name));
  }
  for (const checkpoint of opened) await checkpoint.close();
});

test('a GGUF by path, without its ending, alone in a folder, and from a browser', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(golden, 'gguf/llama-tiny.f16.gguf');
  await copyFile(file, join(folder, 'cached-blob'));
  await copyFile(file, join(folder, 'm.gguf'));
  const blob = new Blob([await readFile(file)]);
  for (const checkpoint of [
    await openCheckpointPath(file),
    await openCheckpointPath(join(folder, 'cached-blob')),
    await openCheckpointPath(folder),
    await openCheckpointFiles([{ name: 'm.gguf', blob }]),
  ]) {
    assert.equal(checkpoint.kind, 'gguf');
    assert.equal(checkpoint.tensors.size, 39);
    await checkpoint.close();
  }
  await copyFile(file, join(folder, 'other.gguf'));
  await refused(openCheckpointPath(folder), /expected one GGUF model, found 2: .*Name the file/);
  await refused(
    openCheckpointPath(join(folder, 'none.gguf')),
    /none\.gguf: expected a model's file or folder/,
  );
  await writeFile(join(folder, 'notes.txt'), 'x');
  await refused(openCheckpointPath(join(folder, 'notes.txt')), /notes\.txt: expected a \.gguf file/);
});

test('sharded safetensors, opened by folder and by any file', async (t) => {
  const folder = await temporaryFolder(t);
  await writeSharded(folder);
  for (const path of [folder, join(folder, 'model-00002-of-00002.safetensors')]) {
    const checkpoint = await openCheckpointPath(path);
    assert.deepEqual([...checkpoint.tensors.keys()], ['a', 'b']);
    assert.deepEqual(await bytesOf(checkpoint, 'b'), new Uint8Array(12).fill(7));
    await checkpoint.close();
  }
});

test('parts without an index are opened together; an index may name a tensor that no file has', async (t) => {
  const folder = await temporaryFolder(t);
  await writeSharded(folder, { c: 'model-00001-of-00002.safetensors' });
  const keys = async () => {
    const checkpoint = await openCheckpointPath(folder);
    await checkpoint.close();
    return [...checkpoint.tensors.keys()];
  };
  assert.deepEqual(await keys(), ['a', 'b']);
  await rm(join(folder, 'model.safetensors.index.json'));
  assert.deepEqual(await keys(), ['a', 'b']);
  for (const other of [
    'adapter_model.safetensors',
    'consolidated.safetensors',
    '._model-00001-of-00002.safetensors',
  ])
    await writeFile(join(folder, other), 'not looked at');
  assert.deepEqual(await keys(), ['a', 'b']);
  await rm(join(folder, 'model-00002-of-00002.safetensors'));
  await refused(openCheckpointPath(folder), /1 of 2 parts are here/);
});

test('a folder with one model is that model, whatever lies beside it', async (t) => {
  const folder = await temporaryFolder(t);
  await copyFile(join(golden, 'gguf/llama-tiny.f16.gguf'), join(folder, 'Model.GGUF'));
  for (const other of ['._Model.GGUF', 'mmproj-model-f16.gguf', 'model-imatrix.gguf'])
    await writeFile(join(folder, other), 'not looked at');
  const checkpoint = await openCheckpointPath(folder);
  assert.equal(checkpoint.tensors.size, 39);
  await checkpoint.close();
});

const badMaps: [string, { [tensor: string]: unknown }, RegExp][] = [
  ['a parent folder', { a: '../model.safetensors' }, /index\.json: weight_map: tensor "a": .*same folder/],
  ['an absolute path', { a: '/etc/x.safetensors' }, /same folder/],
  ['a Windows path', { a: 'C:\\x.safetensors' }, /same folder/],
  ['another kind of file', { a: 'config.json' }, /expected the name of a safetensors file/],
  ['a number', { a: 3 }, /expected the name of a safetensors file, found "3"/],
  [
    'a missing file',
    { a: 'model-00003.safetensors' },
    /weight_map: expected every file that it names, found no "model-00003\.safetensors"/,
  ],
  [
    'a tensor of another file',
    { a: 'model-00002-of-00002.safetensors', c: 'model-00001-of-00002.safetensors' },
    /tensor "a": expected it in model-00002.*found it in model-00001/,
  ],
];
for (const [what, change, message] of badMaps) {
  test(`an index that names ${what} is refused`, async (t) => {
    const folder = await temporaryFolder(t);
    await writeSharded(folder, change);
    await refused(openCheckpointPath(folder), message);
  });
}

test('broken, huge and missing files of a folder are refused by name', async (t) => {
  const folder = await temporaryFolder(t);
  await cp(join(golden, 'llama-tiny'), folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), '{"model_type": "llama",\n  oops}');
  await refused(openCheckpointPath(folder), /^config\.json: line 2, column 3/);
  await writeFile(join(folder, 'config.json'), Buffer.alloc(4 * 2 ** 20 + 1, ' '));
  await refused(openCheckpointPath(folder), /^config\.json: expected at most 4194304 bytes/);
  await rm(join(folder, 'config.json'));
  await refused(openCheckpointPath(folder), /^config\.json: expected this file/);
  await writeFile(join(folder, 'config.json'), '{}');
  await rm(join(folder, 'model.safetensors'));
  await writeFile(join(folder, 'pytorch_model.bin'), 'x');
  await refused(openCheckpointPath(folder), /converted to safetensors or GGUF/);
  await rm(join(folder, 'config.json'));
  await refused(openCheckpointPath(folder), /found neither/);
});

test('the tokenizer is read on demand; a template file wins over the one in the configuration', async (t) => {
  const folder = await temporaryFolder(t);
  await cp(join(golden, 'llama-tiny'), folder, { recursive: true });
  await writeFile(join(folder, 'tokenizer.json'), '{"model": {}');
  const named = [
    { name: 'tool_use', template: 'T' },
    { name: 'default', template: 'D' },
  ];
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify({ chat_template: named }));
  const checkpoint = await openCheckpointPath(folder);
  assert(checkpoint.kind === 'huggingface');
  await refused(checkpoint.tokenizerJson(), /^tokenizer\.json: line 1, column 13/);
  assert.deepEqual(
    [...(await checkpoint.chatTemplates())],
    [
      ['tool_use', 'T'],
      ['default', 'D'],
    ],
  );
  await checkpoint.close();
  await writeFile(join(folder, 'tokenizer_config.json'), '{"chat_template": {"default": "D", "rag": "R"}}');
  const mapped = await openCheckpointPath(folder);
  assert(mapped.kind === 'huggingface');
  assert.deepEqual([...(await mapped.chatTemplates())].flat(), ['default', 'D', 'rag', 'R']);
  await mapped.close();
  await writeFile(join(folder, 'tokenizer_config.json'), '{"chat_template": 5}');
  const number = await openCheckpointPath(folder);
  assert(number.kind === 'huggingface');
  await refused(number.chatTemplates(), /^tokenizer_config\.json: chat_template: expected a text/);
  await number.close();
  await writeFile(join(folder, 'tokenizer_config.json'), '{"chat_template": "S"}');
  await writeFile(join(folder, 'chat_template.jinja'), 'J');
  const again = await openCheckpointPath(folder);
  assert(again.kind === 'huggingface');
  assert.deepEqual([...(await again.chatTemplates())], [['default', 'J']]);
  await again.close();
  await mkdir(join(folder, 'additional_chat_templates'));
  await writeFile(join(folder, 'additional_chat_templates', 'rag.jinja'), 'R');
  await writeFile(join(folder, 'additional_chat_templates', 'notes.txt'), 'N');
  const beside = await openCheckpointPath(folder);
  assert(beside.kind === 'huggingface');
  const both = [
    ['default', 'J'],
    ['rag', 'R'],
  ];
  assert.deepEqual([...(await beside.chatTemplates())], both);
  await beside.close();
  await rm(join(folder, 'additional_chat_templates'), { recursive: true });
  await rm(join(folder, 'chat_template.jinja'));
  const third = await openCheckpointPath(folder);
  assert(third.kind === 'huggingface');
  assert.deepEqual([...(await third.chatTemplates())], [['default', 'S']]);
  await third.close();
});

test('two picked files of one name are refused', async () => {
  const blob = new Blob(['{}']);
  await assert.rejects(
    openCheckpointFiles([
      { name: 'a/x', blob },
      { name: 'b/x', blob },
    ]),
    UsageError,
  );
});
