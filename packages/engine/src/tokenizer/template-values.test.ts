// What templates print and strip: as jinja2 does with transformers' settings (5.22.2), whose outputs these are.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormatError } from '../errors.ts';
import { createChatTemplate } from './chat-template.ts';

const V = ["it's", 1.5, true, null, { a: { b: 'c' } }];

const TEMPLATES = [
  [
    "{{ none }}|{{ true }}|{{ missing }}|{{ 1.0 }}|{{ 0.0000002 }}|{{ 123456789012345680000.0 }}|{{ [1, 'a', none, {'k': false}] }}",
    "None|True||1.0|2e-07|1.2345678901234568e+20|[1, 'a', None, {'k': False}]",
  ],
  ["{{ none ~ true ~ 1.5 ~ missing ~ 'x' }}", 'NoneTrue1.5x'],
  [
    "{{ (v | string) ~ (none | string) ~ (true | string) ~ (3 | string) ~ ('t' | string) ~ (missing | string) }}",
    "[\"it's\", 1.5, True, None, {'a': {'b': 'c'}}]NoneTrue3t",
  ],
  [
    "{{ {'a': \"it's\", 'b': 'say \"x\"', 'c': '\\\\ \\n', 'd': \"both ' and \\\"\"} }}",
    "{'a': \"it's\", 'b': 'say \"x\"', 'c': '\\\\ \\n', 'd': 'both \\' and \"'}",
  ],
  [
    "{{ '\\n\\n a \\n'.strip('\\n') }}|{{ 'xxaxx'.lstrip('x') }}|{{ 'xyaxy'.rstrip('yx') }}|{{ ' a '.strip() }}|{{ 'éaé'.strip('é') }}|",
    ' a |axx|xya|a|a|',
  ],
  ['{% macro m(a, b=false) %}{{ a }}{{ b }}{% endmacro %}{{ m(none) }}|{{ m(1, true) }}', 'NoneFalse|1True'],
  [
    '{% set n = namespace(found=false, count=0) %}{% for x in [3, 1, 2][::-1] %}{% if loop.previtem is defined and loop.previtem < x %}{% set n.found = true %}{% endif %}{% set n.count = n.count + 1 %}{% endfor %}{{ n.found }} {{ n.count }}',
    'True 3',
  ],
  [
    "{% for k, w in {'a': 1, 'b': none}|items %}{{ k }}={{ w | tojson if w is mapping else w | string }};{% endfor %}",
    'a=1;b=None;',
  ],
  ['{% if true %}{{ false }}{% endif %}{% set x %}{{ none }}{% endset %}[{{ x }}]', 'False[None]'],
  ["{{ (1, 'a') }} {{ 'tab\\t' }}", "(1, 'a') tab\t"],
] as const;

for (const [template, expected] of TEMPLATES) {
  test(`prints as jinja2: ${template}`, () => {
    const created = createChatTemplate(template, {}, 'test');
    assert.equal(created.render([{ role: 'user', content: 'u' }], { v: V }), expected);
  });
}

test('thoughts have both names that templates read them by', () => {
  const template = createChatTemplate(
    '{% for m in messages %}[{{ m.reasoning_content }}|{{ m.thinking }}]{% endfor %}',
    {},
    'test',
  );
  const messages = [
    { role: 'user', content: 'q' },
    { role: 'assistant', content: 'a', reasoning: 'r' },
  ] as const;
  assert.equal(template.render(messages), '[|][r|r]');
});

test('a text that grows without end is still stopped', () => {
  const source =
    '{% set n = namespace(t="xxxxxxxx") %}{% for i in range(100) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}';
  const template = createChatTemplate(source, {}, 'test');
  assert.throws(() => template.render([{ role: 'user', content: 'u' }]), FormatError);
});
