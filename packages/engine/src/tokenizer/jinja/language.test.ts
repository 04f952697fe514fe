// The template language against Jinja2 3.1.6 with transformers' settings (5.22.2): every filter, test, operator,
// method and statement, and the messages of their errors. fixtures/jinja/make.py made the expected outputs.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { toValue } from './convert.ts';
import { Refusal, TemplateError } from './errors.ts';
import { JinjaTemplate } from './template.ts';

interface Language {
  readonly now: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly cases: readonly (readonly [source: string, output: string | null, error?: string])[];
}

const file = new URL('../../../../../fixtures/jinja/language.json', import.meta.url);
/** JSON.parse rounds what is too long for it. */
const BIG = 12345678901234567890n;
const { now, variables, cases } = JSON.parse(readFileSync(file, 'utf8')) as Language;

const render = (source: string): string => {
  const values = Object.entries({ ...variables, big: BIG }).map(
    ([name, value]) => [name, toValue(value)] as const,
  );
  return new JinjaTemplate(source).render(new Map(values), { now: () => new Date(now) });
};

test(`${cases.length} templates render as in Jinja2`, () => {
  assert.ok(cases.length > 600);
  for (const [source, output] of cases) if (output !== null) assert.equal(render(source), output, source);
});

/** Errors whose message is this package's own, for the reason given. */
const OWN_WORDS: readonly (readonly [RegExp, string])[] = [
  [/no loader for this environment/, 'says which tag wants another template'],
  [/^SyntaxError/, 'Python says where in the code that Jinja2 wrote'],
  [/^NameError: name 'inf'/, 'a fault of Jinja2: infinity as a constant'],
  [/_cached_compile_jinja_template/, 'Python names the function by where it stands'],
  [/SandboxedEnvironment.call/, 'Python names the function by where it stands'],
  [
    /sequence by non-int|can only join|expected at least|must be str or None|tuple index|to a sequence/,
    'worded as its kin',
  ],
];

test('what Jinja2 refuses is refused, in its words', () => {
  const failing = cases.filter(([, output]) => output === null);
  assert.ok(failing.length > 200);
  let same = 0;
  for (const [source, , error] of failing) {
    const message = error!.slice(error!.indexOf(': ') + 2);
    assert.throws(
      () => render(source),
      (thrown: unknown) => {
        assert.ok(thrown instanceof TemplateError || thrown instanceof Refusal, `${source}: ${thrown}`);
        if (OWN_WORDS.some(([pattern]) => pattern.test(error!))) return true;
        assert.equal(thrown.message, message, source);
        assert.ok(thrown.line >= 1, source);
        same++;
        return true;
      },
      source,
    );
  }
  assert.ok(same > 220, `${same} of ${failing.length}`);
});
