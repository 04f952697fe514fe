// The official JSON-Schema-Test-Suite: every test right, or its schema refused by name.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DRAFTS, runSuite, SUITE_PLACE, suiteTable } from './schema-suite.ts';

/** Tests that must be right, at least: to refuse more is a step back. */
const RIGHT = { 'draft2020-12': 1741, draft7: 1347 };

for (const draft of DRAFTS) {
  test(`${draft}: nothing is accepted or rejected wrongly`, () => {
    const { right, wronglyAccepted, wronglyRejected, refused } = runSuite(draft);
    assert.deepEqual(wronglyAccepted, []);
    assert.deepEqual(wronglyRejected, []);
    assert.ok(right >= RIGHT[draft], `expected ${RIGHT[draft]} tests right, found ${right}`);
    for (const { keyword, reason, file } of refused) assert.ok(keyword !== '' && reason !== '', file);
  });
}

test('docs/grammar.md shows the results', () => {
  const text = readFileSync(join(import.meta.dirname, '../../../docs/grammar.md'), 'utf8');
  const shown = SUITE_PLACE.exec(text)?.[0].split('\n').slice(1, -1).join('\n');
  assert.equal(shown, suiteTable(), 'run npm run suite:schema');
});
