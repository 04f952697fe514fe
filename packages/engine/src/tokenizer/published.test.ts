// Published chat templates over many kinds of conversation: the text is transformers' (5.22.2, Jinja2 3.1.6).
// fixtures/jinja/published.py made the digests. MARIMBA_TEMPLATES names a folder of further templates, such as
// those whose licence keeps them out of this repository; run that script on it first.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mock, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '../formats/types.ts';
import type { ChatMessage } from './chat-messages.ts';
import { type ChatTemplate, createChatTemplate } from './chat-template.ts';

interface Conversation {
  readonly name: string;
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly JsonObject[];
  readonly add_generation_prompt?: boolean;
  readonly variables?: JsonObject;
}

interface Published {
  readonly now: string;
  readonly templates: Readonly<Record<string, Readonly<Record<string, string | { readonly error: string }>>>>;
}

const fixtures = fileURLToPath(new URL('../../../../fixtures/jinja', import.meta.url));
const read = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
const conversations = read(join(fixtures, 'conversations.json')) as readonly Conversation[];

/** Where this package says what Python cannot, or would print as it prints a list. Has tests of its own. */
const BETTER = new Set(['parts']);

function render(
  template: ChatTemplate,
  { messages, tools, add_generation_prompt, variables }: Conversation,
): string {
  const options = { ...variables, tools, addGenerationPrompt: add_generation_prompt };
  return template.render(messages, options);
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

function compare(folder: string, { now, templates }: Published): void {
  mock.timers.enable({ apis: ['Date'], now: new Date(now) });
  const wrong: string[] = [];
  for (const [file, answers] of Object.entries(templates)) {
    const source = readFileSync(join(folder, file), 'utf8');
    const template = createChatTemplate(source, { bos: '<s>', eos: '</s>' }, 'template');
    for (const conversation of conversations) {
      const answer = answers[conversation.name]!;
      let text: string | null = null;
      let error = '';
      try {
        text = render(template, conversation);
      } catch (thrown) {
        error = thrown instanceof Error ? thrown.message : String(thrown);
      }
      if (typeof answer === 'string') {
        if (!BETTER.has(conversation.name) && (text === null || digest(text) !== answer))
          wrong.push(`${file}: ${conversation.name}: ${text === null ? error : 'another text'}`);
      } else if (text !== null && !BETTER.has(conversation.name) && !mayBeSaid(answer.error))
        wrong.push(`${file}: ${conversation.name}: no error, expected ${answer.error}`);
    }
  }
  mock.timers.reset();
  assert.deepEqual(wrong, []);
}

/** Null as an empty text, arguments as JSON where Python fails to join them. */
const mayBeSaid = (error: string): boolean => /NoneType|not "dict"|None has no|'None' has no/.test(error);

test('published templates say what they say in transformers', () => {
  const published = read(join(fixtures, 'published.json')) as Published;
  assert.ok(Object.keys(published.templates).length >= 25);
  assert.ok(conversations.length >= 30);
  compare(join(fixtures, 'published'), published);
});

const folder = process.env.MARIMBA_TEMPLATES;
test('so do those of another folder', { skip: folder === undefined }, () => {
  const expected = join(folder!, 'published.json');
  assert.ok(existsSync(expected), `${expected}: run fixtures/jinja/published.py on the folder first`);
  compare(folder!, read(expected) as Published);
});
