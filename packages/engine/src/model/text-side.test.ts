// A checkpoint's chat templates: which of several is taken, and what one that is not valid prevents.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { ModelSpec } from '../architecture/spec.ts';
import { FormatError } from '../errors.ts';
import type { MetadataValue } from '../formats/gguf-values.ts';
import type { Checkpoint, JsonObject } from '../formats/types.ts';
import { readText } from './text-side.ts';

const file = new URL('../../../../fixtures/tokenizers/byte-level-gpt2.json', import.meta.url);
const { tokenizer } = JSON.parse(readFileSync(file, 'utf8')) as {
  tokenizer: {
    model: { vocab: Record<string, number>; merges: string[] };
    added_tokens: { id: number; content: string }[];
  };
};
const spec = { vocabularySize: 500, endTokens: [] } as unknown as ModelSpec;

/** The same small vocabulary as a folder and as a GGUF file, with these chat templates. */
const FORMS: Record<string, (templates: Readonly<Record<string, string>>) => Checkpoint> = {
  folder: (templates) =>
    ({
      kind: 'huggingface',
      name: 'folder',
      tokenizerJson: async () => tokenizer as unknown as JsonObject,
      tokenizerConfig: async () => null,
      chatTemplates: async () => new Map(Object.entries(templates)),
    }) as unknown as Checkpoint,
  gguf: (templates) => {
    const texts: string[] = [];
    for (const [text, id] of Object.entries(tokenizer.model.vocab)) texts[id] = text;
    for (const { content, id } of tokenizer.added_tokens) texts[id] = content;
    const metadata = new Map<string, MetadataValue>([
      ['tokenizer.ggml.model', 'gpt2'],
      ['tokenizer.ggml.pre', 'gpt-2'],
      ['tokenizer.ggml.tokens', texts],
      ['tokenizer.ggml.token_type', texts.map(() => 1)],
      [
        'tokenizer.ggml.merges',
        tokenizer.model.merges.map((merge) => (Array.isArray(merge) ? merge.join(' ') : merge)),
      ],
    ]);
    for (const [name, source] of Object.entries(templates))
      metadata.set(`tokenizer.chat_template${name === 'default' ? '' : `.${name}`}`, source);
    return { kind: 'gguf', name: 'file.gguf', metadata } as unknown as Checkpoint;
  },
};

const hi = [{ role: 'user', content: 'Hi' }];
const tools = [{ type: 'function', function: { name: 'find' } }];

for (const [form, checkpoint] of Object.entries(FORMS)) {
  test(`${form}: tools are written by the template for tools`, async () => {
    const { chatTemplate } = await readText(
      checkpoint({ default: 'D', tool_use: 'T{{ tools | length }}' }),
      spec,
    );
    assert.equal(chatTemplate!.render(hi), 'D');
    assert.equal(chatTemplate!.render(hi, { tools }), 'T1');
    assert.equal(chatTemplate!.render(hi, { tools, template: 'default' }), 'D');
  });

  test(`${form}: a template that is not valid leaves texts alone and says what is wrong`, async () => {
    const {
      tokenizer: read,
      chatTemplate,
      notes,
    } = await readText(checkpoint({ default: '{% frobnicate %}' }), spec);
    assert.ok(read!.encode('the').length > 0);
    assert.match(notes.join('\n'), /chat template is not valid.*unknown tag 'frobnicate'/);
    assert.match(chatTemplate!.error ?? '', /frobnicate/);
    assert.throws(() => chatTemplate!.encode(hi, read!), { name: 'FormatError', message: /template/ });
  });
}

test('a template file that cannot be read refuses conversations with the reason, and nothing else', async () => {
  const checkpoint = {
    ...FORMS.folder!({}),
    chatTemplates: () => Promise.reject(new FormatError('chat_template.jinja: expected UTF-8')),
  } as unknown as Checkpoint;
  const { tokenizer: read, chatTemplate, notes } = await readText(checkpoint, spec);
  assert.ok(read!.encode('the').length > 0);
  assert.match(notes.join('\n'), /chat template is not valid.*expected UTF-8/);
  assert.throws(() => chatTemplate!.render(hi), { name: 'FormatError', message: /expected UTF-8/ });
});
