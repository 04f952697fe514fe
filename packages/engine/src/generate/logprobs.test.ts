import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogprobReader, logSumExp } from './logprobs.ts';
import { createRandom } from './random.ts';
import { descendingKey, keyIndex, selectTop } from './select.ts';

test('log-probabilities are the log-softmax, and sum to one', () => {
  const random = createRandom(1);
  const logits = new Float32Array(1000).map(() => random() * 40 - 20);
  const reader = createLogprobReader(1000, 1000);
  const { logprob, top } = reader.read(logits, 123);
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
  assert.ok(Math.abs(logprob - Math.log(Math.exp(logits[123]) / total)) < 1e-9);
  assert.equal(top.length, 1000);
  assert.ok(Math.abs(top.reduce((sum, one) => sum + Math.exp(one.logprob), 0) - 1) < 1e-9);
  assert.equal(top.find((one) => one.token === 123)?.logprob, logprob);
});

test('huge and masked logits stay finite where they can', () => {
  assert.equal(logSumExp(Float32Array.of(1000, 1000)), 1000 + Math.log(2));
  const { logprob, top } = createLogprobReader(3, 3).read(Float32Array.of(-Infinity, 2, 2), 0);
  assert.equal(logprob, -Infinity);
  assert.deepEqual(
    top.map((one) => one.token),
    [1, 2],
  );
});

test('the best k are those of a full sort, ties to the lower ids', () => {
  const random = createRandom(6);
  for (let round = 0; round < 300; round++) {
    const size = 1 + Math.floor(random() * 200);
    const logits = new Float32Array(size).map(() =>
      random() < 0.1 ? -Infinity : Math.round(random() * 30 - 15) / 2,
    );
    const k = 1 + Math.floor(random() * size);
    const expected = [...logits.keys()]
      .filter((id) => logits[id] > -Infinity)
      .sort((a, b) => logits[b] - logits[a] || a - b)
      .slice(0, k);
    const keys = new Float64Array(k);
    const count = selectTop(logits, k, keys);
    assert.deepEqual(Array.from(keys.subarray(0, count), keyIndex), expected);
  }
});

test('keys order floats of both signs, zeros as equals', () => {
  const values = [Infinity, 1e30, 1, 1e-30, 0, -1e-30, -1, -1e30];
  const keys = values.map((value) => descendingKey(value, 2 ** 21 - 1));
  assert.deepEqual(
    keys,
    [...keys].sort((a, b) => a - b),
  );
  assert.equal(descendingKey(-0, 5), descendingKey(0, 5));
  assert.equal(keyIndex(descendingKey(-3.5, 123_456)), 123_456);
});
