import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClaimPart } from './claim.ts';
import { judgePart, type Scores } from './claims.ts';

const table: Record<string, number[]> = {};
const scores: Scores = (model) => new Map((table[model] ?? []).map((value, seed) => [seed, value]));
const part = (changes: Partial<ClaimPart>): ClaimPart => ({
  kind: 'better',
  model: 'a',
  than: 'b',
  task: 't',
  metric: 'accuracy',
  margin: 0.1,
  ...changes,
});
const verdict = (a: number[], b: number[], changes: Partial<ClaimPart> = {}) => {
  Object.assign(table, { a, b });
  return judgePart(part(changes), scores, 0.1).verdict;
};
const open = 'not decidable at this size';

test('better: clearly above the margin, clearly below, or neither', () => {
  assert.equal(verdict([0.9, 0.92, 0.91], [0.5, 0.51, 0.52]), 'confirmed');
  assert.equal(verdict([0.52, 0.53, 0.51], [0.5, 0.51, 0.5]), 'not confirmed');
  assert.equal(verdict([0.9, 0.5, 0.7], [0.5, 0.5, 0.5]), open);
});

test('seeds are paired: a common shift does not blur a difference', () => {
  assert.equal(verdict([0.9, 0.6, 0.3], [0.7, 0.4, 0.1]), 'confirmed');
  assert.equal(verdict([0.3, 0.9, 0.6], [0.7, 0.4, 0.1]), open);
});

test('smaller is better turns differences around', () => {
  assert.equal(verdict([1.0, 1.01, 1.02], [2, 2.01, 2.03], { smallerIsBetter: true }), 'confirmed');
  assert.equal(verdict([2, 2.01, 2.03], [1.0, 1.01, 1.02], { smallerIsBetter: true }), 'not confirmed');
});

test('alike and not better', () => {
  const alike = { kind: 'alike', margin: 0.05 } as const;
  assert.equal(verdict([0.5, 0.51, 0.5], [0.5, 0.5, 0.51], alike), 'confirmed');
  assert.equal(verdict([0.9, 0.91, 0.9], [0.5, 0.5, 0.51], alike), 'not confirmed');
  assert.equal(verdict([0.9, 0.5, 0.1], [0.5, 0.5, 0.5], alike), open);
  const no = { kind: 'notBetter', margin: 0.05 } as const;
  assert.equal(verdict([0.2, 0.21, 0.2], [0.5, 0.5, 0.51], no), 'confirmed');
  assert.equal(verdict([0.9, 0.91, 0.9], [0.5, 0.5, 0.51], no), 'not confirmed');
});

test('equal results with no spread at all are alike, and not better', () => {
  assert.equal(verdict([1, 1, 1], [1, 1, 1], { kind: 'alike', margin: 0.05 }), 'confirmed');
  assert.equal(verdict([1, 1, 1], [1, 1, 1], { margin: 0 }), open);
});

test('what no model learned, or too few seeds, decides nothing and says why', () => {
  Object.assign(table, { a: [0.15, 0.16, 0.15], b: [0.1, 0.1, 0.1] });
  const unlearned = judgePart(part({ solvable: { by: ['a', 'c'], aboveChance: 0.2 } }), scores, 0.1);
  assert.equal(unlearned.verdict, open);
  assert.match(unlearned.reason, /reached at most 0\.153, chance is 0\.100/);
  assert.equal(verdict([0.9], [0.1]), open);
  assert.equal(verdict([], [0.1, 0.1]), open);
});
