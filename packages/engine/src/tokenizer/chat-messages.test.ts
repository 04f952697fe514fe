// Conversations as clients send them reach the template unchanged.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormatError, UsageError } from '../errors.ts';
import type { ChatMessage } from './chat-messages.ts';
import { type ChatTemplateOptions, createChatTemplate } from './chat-template.ts';

const render = (
  source: string,
  messages: readonly ChatMessage[],
  options: ChatTemplateOptions = {},
): string => createChatTemplate(source, { bos: '<s>', eos: '</s>' }, 'model').render(messages, options);

const user = (content: string): ChatMessage => ({ role: 'user', content });
const plain = '{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}';

// What every OpenAI client sends: digits that JavaScript's numbers would lose.
const text = '{"city": "Bonn", "id": 12345678901234567890, "x": 1.0}';
const calling: ChatMessage = {
  role: 'assistant',
  content: '',
  toolCalls: [{ id: 'c1', name: 'find', arguments: text }],
};

test('arguments that came as text are spliced as that text, or read as an object', () => {
  const args = 'messages[0].tool_calls[0].function.arguments';
  const say = (expression: string, message = calling) => render(`{{ ${expression} }}`, [message]);
  assert.equal(say(`'call:' + ${args}`), `call:${text}`);
  assert.equal(say(args), text);
  assert.equal(say(`${args} ~ ''`), text);
  assert.equal(say(`${args} | tojson`), text);
  assert.equal(say(`${args} | items | map('first') | join(';')`), 'city;id;x');
  assert.equal(say(`${args}.id is integer and ${args}.x is float and ${args} is mapping`), 'True');
  assert.equal(say(`${args} is string`), 'False');
  const given: ChatMessage = { ...calling, toolCalls: [{ name: 'find', arguments: { city: 'Bonn', n: 1 } }] };
  assert.equal(say(args, given), "{'city': 'Bonn', 'n': 1}");
  assert.equal(say(`'call:' + ${args}`, given), 'call:{"city": "Bonn", "n": 1}');
  for (const broken of ['{"a": 1', '[1]', 'none', '"x"', '{"a": 01}', '{a: 1}'])
    assert.equal(
      say(`${args} is string and ${args}`, { ...calling, toolCalls: [{ name: 'f', arguments: broken }] }),
      broken,
    );
  const none: ChatMessage = { ...calling, toolCalls: [{ name: 'f', arguments: '' }] };
  assert.equal(say(`'call:' + ${args} + (${args} | tojson)`, none), 'call:{}');
});

test("OpenAI's names and this package's mean the same", () => {
  const openAi: ChatMessage = {
    role: 'assistant',
    content: null,
    tool_calls: [{ id: 'c1', type: 'function', function: { name: 'find', arguments: text } }],
  };
  const source = '{{ messages[0].tool_calls | tojson }}';
  assert.equal(render(source, [openAi]), render(source, [{ ...calling, content: null }]));
  const answers: ChatMessage[] = [
    { role: 'tool', content: 'x', tool_call_id: 'c1', name: 'find' },
    { role: 'tool', content: 'x', toolCallId: 'c1', name: 'find' },
  ];
  const both = '{% for m in messages %}{{ m.tool_call_id }}{{ m.name }}{{ m.content }};{% endfor %}';
  assert.equal(render(both, answers), 'c1findx;c1findx;');
});

test('thoughts have the names that templates read them by', () => {
  const source =
    '{% for m in messages %}[{{ m.reasoning_content }}|{{ m.thinking }}|{{ m.reasoning }}]{% endfor %}';
  assert.equal(
    render(source, [
      user('q'),
      { role: 'assistant', content: 'a', reasoning: 'r' },
      { role: 'assistant', content: 'a', reasoning_content: 'c' },
      { role: 'assistant', content: 'a', thinking: 't' },
    ]),
    '[||][r|r|r][c|c|][t|t|]',
  );
});

test('null stays null where the template can tell, and is an empty text where it would fail', () => {
  const call: ChatMessage = { role: 'assistant', content: null, toolCalls: calling.toolCalls };
  assert.equal(render('{{ messages[0].content is none }}', [call]), 'True');
  assert.equal(render('{{ messages[0].content is defined }}', [{ role: 'assistant' }]), 'False');
  assert.equal(render("{{ '<' + messages[0].content + '>' }}", [call]), '<>');
  assert.equal(render("{{ '<' + messages[0].content.strip() + '>' }}", [{ role: 'assistant' }]), '<>');
  assert.throws(() => render('{{ messages[0].content + 1 }}', [call]), /"NoneType"|NoneType/);
  assert.throws(() => render("{{ raise_exception('no null') }}", [call]), UsageError);
});

test('parts reach templates that walk them, and are joined for those that do not', () => {
  const parts: ChatMessage = {
    role: 'user',
    content: [
      { type: 'text', text: 'Look:' },
      { type: 'image', url: 'x.png' },
      { type: 'text', text: 'What is it?' },
    ],
  };
  const walks =
    "{% for m in messages %}{% for p in m['content'] %}{{ p.text if p.type == 'text' else '<img>' }}{% endfor %}{% endfor %}";
  assert.equal(render(walks, [parts]), 'Look:<img>What is it?');
  const macro =
    '{% macro say(c) %}{% for p in c %}{{ p.type }},{% endfor %}{% endmacro %}{% set content = messages[0].content %}{{ say(content) }}';
  assert.equal(render(macro, [parts]), 'text,image,text,');
  const filters =
    "{{ messages[0].content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join('+') }}";
  assert.equal(render(filters, [parts]), 'Look:+What is it?');
  assert.throws(
    () => render(plain, [user('x'), parts]),
    (error: unknown) =>
      error instanceof UsageError &&
      /messages\[1\]\.content\[1\]: .* "text", .* found "image"/.test(error.message),
  );
  const texts: ChatMessage = {
    role: 'user',
    content: [
      { type: 'text', text: 'a' },
      { type: 'input_text', text: 'b' },
    ],
  };
  assert.equal(render(plain, [texts]), '[user]a\nb');
  assert.equal(render('{% for t in messages %}{{ t.content | upper }}{% endfor %}', [texts]), 'A\nB');
});

test('messages and calls print in the order that they came in; tokens that the model lacks are undefined', () => {
  const call = { type: 'function', function: { arguments: { b: 1 }, name: 'f' }, id: 'c1' };
  const messages = [
    { name: 'x', content: 'a', role: 'user' },
    { role: 'assistant', tool_calls: [call], content: null },
    { role: 'tool', tool_call_id: 'c1', content: 'r' },
  ];
  assert.equal(render('{{ messages | tojson(separators=(",", ":")) }}', messages), JSON.stringify(messages));
  assert.equal(render('{{ unk_token is defined or pad_token is defined }}', [user('a')]), 'False');
  const named = createChatTemplate('{{ unk_token }}{{ pad_token }}', { unknown: '<u>', pad: '<p>' }, 'model');
  assert.equal(named.render([user('a')]), '<u><p>');
});

test('any role and any field reaches the template; what is no message does not', () => {
  const messages: ChatMessage[] = [
    user('a'),
    { role: 'system', content: 'b' },
    { role: 'developer', content: 'c' },
    { role: 'ipython', content: 'd' },
  ];
  assert.equal(render(plain, messages), '[user]a[system]b[developer]c[ipython]d');
  const extra = { role: 'user', content: 'x', cache_control: { type: 'ephemeral', n: 1.5 }, toString: 1 };
  assert.equal(render('{{ messages[0].cache_control.n }}{{ messages[0].toString }}', [extra]), '1.51');
  for (const wrong of [
    { role: '', content: 'x' },
    { role: 5, content: 'x' },
    { role: 'user', content: 5 },
    null,
  ])
    assert.throws(() => render(plain, [wrong as unknown as ChatMessage]), UsageError);
});

test('tools, documents and further variables reach the template', () => {
  const tools = [{ type: 'function', function: { name: 'f', parameters: { minimum: 1.5, maximum: 2 } } }];
  assert.equal(
    render('{{ tools | tojson }}', [user('x')], { tools }),
    JSON.stringify(tools).replaceAll(/([:,])/g, '$1 '),
  );
  assert.equal(render('{{ tools is none }}{{ documents is none }}', [user('x')], { tools: [] }), 'TrueTrue');
  const documents = [{ title: 'T', text: 'd' }];
  assert.equal(render('{{ documents[0].title }}', [user('x')], { documents }), 'T');
  assert.equal(render('{{ enable_thinking is false }}', [user('x')], { enable_thinking: false }), 'True');
  assert.equal(render('{{ add_generation_prompt }}', [user('x')], { addGenerationPrompt: false }), 'False');
});

test('of several templates the one for tools is taken where tools are passed', () => {
  const sources = new Map([
    ['default', 'D'],
    ['tool_use', 'T{{ tools | length }}'],
    ['rag', 'R{{ documents | length }}'],
  ]);
  const template = createChatTemplate(sources, {}, 'model');
  const tools = [{ type: 'function', function: { name: 'f' } }];
  assert.equal(template.source, 'D');
  assert.equal(template.render([user('x')]), 'D');
  assert.equal(template.render([user('x')], { tools: [] }), 'D');
  assert.equal(template.render([user('x')], { tools }), 'T1');
  assert.equal(template.render([user('x')], { template: 'rag', documents: [{}] }), 'R1');
  assert.equal(template.render([user('x')], { template: 'default', tools }), 'D');
  assert.throws(
    () => template.render([user('x')], { template: 'x' }),
    /expected one of default, tool_use, rag/,
  );
  const unnamed = createChatTemplate(new Map([['rag', 'R']]), {}, 'model');
  assert.throws(() => unnamed.render([user('x')]), /expected one of rag, found none/);
});

test('a template that is not valid says so, and is refused only when it is used', () => {
  const broken = createChatTemplate('a\n{% frobnicate %}', {}, 'model');
  assert.match(broken.error ?? '', /line 2: Encountered unknown tag 'frobnicate'/);
  assert.throws(() => broken.render([user('x')]), {
    name: 'FormatError',
    message: /not a valid chat template: line 2/,
  });
  const half = createChatTemplate(
    new Map([
      ['default', 'D'],
      ['tool_use', '{% x %}'],
    ]),
    {},
    'model',
  );
  assert.match(half.error ?? '', /^tool_use: line 1/);
  assert.equal(half.render([user('x')]), 'D');
  assert.throws(() => half.render([user('x')], { tools: [{}] }), FormatError);
});
