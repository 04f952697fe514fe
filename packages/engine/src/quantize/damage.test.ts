import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DivergenceMeter, seededTokens } from './damage.ts';

const close = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-6, `${actual} is not ${expected}`);

test('the same logits, or the same up to a constant: no divergence', () => {
  const meter = new DivergenceMeter();
  const logits = Float32Array.of(3, -1, 0.5, 80);
  meter.add(logits, logits.slice(), null);
  meter.add(Float32Array.of(1, 2), Float32Array.of(11, 12), null);
  const { meanKl, maxKl, topAgreement, positions, perplexity } = meter.result();
  assert.deepEqual(
    { positions, topAgreement, perplexity },
    { positions: 2, topAgreement: 1, perplexity: null },
  );
  assert.ok(meanKl < 1e-9 && maxKl < 1e-9);
});

test('divergence, agreement and perplexity of two small distributions', () => {
  const meter = new DivergenceMeter();
  const logs = (...shares: number[]) => Float32Array.from(shares, (share) => Math.log(share));
  meter.add(logs(0.5, 0.25, 0.25), logs(0.25, 0.5, 0.25), 0);
  meter.add(logs(0.5, 0.5), logs(0.5, 0.5), 1);
  const result = meter.result();
  const kl = 0.5 * Math.log(2) - 0.25 * Math.log(2);
  close(result.meanKl, kl / 2);
  close(result.maxKl, kl);
  close(result.p99Kl, kl);
  assert.equal(result.topAgreement, 0.5);
  close(result.perplexity!.original, 2);
  close(result.perplexity!.quantised, Math.sqrt(4 * 2));
});

test('seeded tokens are the same every time and within the vocabulary', () => {
  const tokens = seededTokens(1000, 300);
  assert.deepEqual(tokens, seededTokens(1000, 300));
  assert.ok(tokens.every((token) => Number.isInteger(token) && token >= 0 && token < 300));
  assert.ok(new Set(tokens).size > 250);
});
