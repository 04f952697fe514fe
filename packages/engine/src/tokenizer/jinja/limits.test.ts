// Hostile templates: each is stopped with an error that says so, and quickly.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LimitError, Refusal, TemplateError } from './errors.ts';
import { JinjaTemplate } from './template.ts';

const render = (source: string): string => new JinjaTemplate(source).render(new Map());

const doubled = (statement: string) =>
  `{% set ns = namespace(x='aaaa', l=[1]) %}${statement.repeat(40)}{{ ns.x }}`;

const BOMBS: readonly (readonly [what: string, source: string])[] = [
  ['a long text', "{{ 'a' * 1000000000 }}"],
  ['a long text, twice', "{{ 'a' * 100000 * 100000 }}"],
  ['a long list', '{{ [0] * 1000000000 }}'],
  ['a long tuple', '{{ (0,) * 1000000000 }}'],
  [
    'a long range as a list',
    '{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}',
  ],
  ['loops without a body', '{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}'],
  ['doubling with +', doubled('{% set ns.x = ns.x + ns.x %}')],
  ['doubling with ~', doubled('{% set ns.x = ns.x ~ ns.x %}')],
  ['doubling with join', doubled('{% set ns.x = ns.x.join([ns.x, ns.x]) %}')],
  ['doubling with replace', doubled("{% set ns.x = ns.x | replace('a', 'aa') %}")],
  ['doubling with .replace', doubled("{% set ns.x = ns.x.replace('a', 'aa') %}")],
  ['doubling with %', doubled("{% set ns.x = '%s%s' % (ns.x, ns.x) %}")],
  ['doubling with format', doubled("{% set ns.x = '{0}{0}'.format(ns.x) %}")],
  ['doubling with a block', doubled('{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}')],
  ['doubling a list', doubled('{% set ns.l = ns.l + ns.l %}')],
  ['a list in itself, printed', doubled('{% set ns.l = [ns.l, ns.l] %}').replace('{{ ns.x }}', '{{ ns.l }}')],
  [
    'a list in itself, as JSON',
    doubled('{% set ns.l = [ns.l, ns.l] %}').replace('{{ ns.x }}', '{{ ns.l|tojson }}'),
  ],
  [
    'a list in itself, compared',
    '{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}',
  ],
  [
    'a deep list',
    '{% set ns = namespace(l=[]) %}{% for i in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}',
  ],
  ['powers', '{{ 10 ** (10 ** 10) }}'],
  [
    'powers of powers',
    '{% set ns = namespace(n=3) %}{% for i in range(99) %}{% set ns.n = ns.n * ns.n %}{% endfor %}',
  ],
  ['wide fields', "{{ '%1000000000d' % 1 }}"],
  ['wide fields of format', "{{ '{:1000000000}'.format(1) }}"],
  ['many digits', "{{ '%.1000000000f' % 1.5 }}"],
  ['center', "{{ 'a' | center(1000000000) }}"],
  ['zfill', "{{ 'a'.zfill(1000000000) }}"],
  ['expandtabs', "{{ '\\t'.expandtabs(1000000000) }}"],
  ['indent', "{{ ('a\\n' * 1000) | indent(1000000) }}"],
  ['indent of JSON', '{{ [[1]] | tojson(indent=1000000000) }}'],
  ['batch', '{{ [1] | batch(1000000000, 0) | list }}'],
  ['slice', '{{ [1] | slice(1000000000) | list }}'],
  ['a macro in itself', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'],
  ['a macro in itself, twice', '{% macro f(n) %}{{ f(n + 1) }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}'],
  [
    'a macro that ends late',
    '{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}',
  ],
  ['a loop in itself', '{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}'],
  ['a block in itself', '{% block a %}{{ self.a() }}{% endblock %}'],
  ['deep brackets', `{{ ${'['.repeat(5000)}${']'.repeat(5000)} }}`],
  ['deep parentheses', `{{ ${'('.repeat(5000)}1${')'.repeat(5000)} }}`],
  ['deep conditions', `${'{% if true %}'.repeat(5000)}${'{% endif %}'.repeat(5000)}`],
  ['a long sum', `{{ 1${' + 1'.repeat(5000)} }}`],
  ['many filters', `{{ 1${'|string'.repeat(5000)} }}`],
  ['many attributes', `{{ a${'.a'.repeat(5000)} }}`],
  ['many nots', `{{ ${'not '.repeat(5000)}1 }}`],
  ['many minuses', `{{ ${'-'.repeat(5000)}1 }}`],
  ['wordwrap', "{{ ('a ' * 10000000) | wordwrap(1) | length }}"],
  [
    'measuring a long text',
    "{% set x = 'a' * 60000000 %}{% for i in range(99999) %}{{ x | length }}{% endfor %}",
  ],
  [
    'an item of a long text',
    "{% set x = 'é' * 60000000 %}{% for i in range(99999) %}{{ x[-5] }}{% endfor %}",
  ],
  [
    'slices of what grows',
    "{% set ns = namespace(x='a' * 60000000) %}{% for i in range(99999) %}{% set ns.x = ('b' ~ ns.x)[1:] %}{% endfor %}",
  ],
  [
    'comparing long texts',
    "{% set x = 'a' * 60000000 %}{% set y = 'a' ~ x[1:] %}{% for i in range(99999) %}{% if x == y %}{% endif %}{% endfor %}",
  ],
  ['a long text as a list', "{{ ('a' * 60000000) | list | length }}"],
  ['lines of a long text', "{{ ('\n' * 60000000).splitlines() | length }}"],
  ['words of a long text', "{{ ('a ' * 30000000).split() | length }}"],
  ['splitting a long text', "{{ ('a' * 60000000).split('a') | length }}"],
  [
    'replacing in a long text',
    "{% set x = 'a' * 60000000 %}{% for i in range(99) %}{{ x.replace('a', '') }}{% endfor %}",
  ],
  ['replacing nothing', "{{ ('a' * 60000000).replace('', 'b') | length }}"],
  [
    'the case of a long text',
    "{% for i in range(99) %}{{ ('a' * 60000000).swapcase() | length }}{% endfor %}",
  ],
  [
    'keys of long texts',
    "{% set x = 'a' * 60000000 %}{% for i in range(999) %}{% set d = {x ~ i: 1} %}{% endfor %}",
  ],
  [
    'sorting',
    "{{ ('a' * 1000000) | list | sort | unique | list }}{{ ('a' * 1000000) | list | sort }}".repeat(9),
  ],
];

for (const [what, source] of BOMBS) {
  test(`stopped: ${what}`, () => {
    assert.throws(
      () => render(source),
      (error: unknown) => error instanceof LimitError || error instanceof TemplateError,
    );
  });
}

test('a template of more than a million characters is refused', () => {
  assert.throws(() => new JinjaTemplate(' '.repeat((1 << 20) + 1)), LimitError);
});

/** Numbers that look like chance, the same on every machine. */
function* chance(seed: number): Generator<number> {
  for (;;) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    yield seed / 2 ** 32;
  }
}

const SEEDS = [
  "{%- for m in messages -%}{{ '<|im_start|>' + m.role + '\\n' + m.content | trim }}{%- endfor -%}",
  '{% macro f(a, b=2) %}{{ a ~ b }}{% endmacro %}{{ f(1) }}{% set ns = namespace(x=[1, 2]) %}{% set ns.x = ns.x[::-1] %}{{ ns.x | tojson(indent=2) }}',
  "{% if tools is defined and tools %}{% for t in tools if t.name is string %}{{ loop.index }}{{ '%s: %d' % (t.name, 3) }}{% else %}x{% endfor %}{% endif %}",
  "{% raw %}{{ x }}{% endraw %}{# c #}{{ {'a': [1, (2, 3.5e3)]}['a'][1][0] ** 2 // 3 }}{% filter upper %}a{% endfilter %}",
  "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join(', ') | default('none', true) }}",
];
const PIECES =
  '{{ }} {% %} {# #} - + | . [ ] ( ) , : ~ ** // % == is not in if else for endfor set 9 1.5 \' " \\ \n loop * {%- -%}'.split(
    ' ',
  );

test('5,000 mutated templates give a text or an error, and nothing else', () => {
  const next = chance(7);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(next.next().value! * items.length)]!;
  const seen = { text: 0, error: 0 };
  for (let i = 0; i < 5000; i++) {
    let source = pick(SEEDS);
    for (let edits = 1 + Math.floor(next.next().value! * 3); edits > 0; edits--) {
      const at = Math.floor(next.next().value! * source.length);
      const cut = Math.floor(next.next().value! * 6);
      source = source.slice(0, at) + (next.next().value! < 0.6 ? pick(PIECES) : '') + source.slice(at + cut);
    }
    try {
      assert.equal(typeof render(source), 'string');
      seen.text++;
    } catch (error) {
      const known = error instanceof TemplateError || error instanceof LimitError || error instanceof Refusal;
      assert.ok(known, `${source}\n${error instanceof Error ? error.stack : error}`);
      seen.error++;
    }
  }
  assert.ok(seen.text > 500 && seen.error > 500, JSON.stringify(seen));
});
