// The official JSON-Schema-Test-Suite: every test right, or its schema refused by name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DRAFTS, runSuite } from './schema-suite.ts';

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
