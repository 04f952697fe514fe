// The golden training runs of the hybrid families (fixtures/golden-families): ten steps of AdamW and every
// gradient of the first, against torch's autograd.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { verifyTraining } from './verify.ts';

const folder = fileURLToPath(new URL('../../../../fixtures/golden-families/', import.meta.url));
const MODELS = ['lfm2', 'qwen3.5-untied', 'mamba2', 'granite-h-dense', 'gemma3'];
/** Float64 gives these losses within 2e-6, and every norm within 1e-5 of itself. */
const TOLERANCE = 1e-4;

interface GoldenRun {
  readonly losses: readonly number[];
  readonly grad_norm: number;
  readonly gradients: Readonly<Record<string, { readonly l2: number }>>;
}

/** Gradients that are rounding are compared with the whole, not with themselves. */
const NEGLIGIBLE = 1e-5;

async function check(name: string): Promise<void> {
  const path = join(folder, name);
  const golden: GoldenRun = JSON.parse(readFileSync(join(path, 'golden-train.json'), 'utf8'));
  const { losses, gradientNorm, gradients } = await verifyTraining(path, { threads: 2 });
  assert.equal(losses.length, golden.losses.length);
  losses.forEach((loss, i) => {
    const difference = Math.abs(loss - golden.losses[i]!);
    assert.ok(difference <= TOLERANCE, `loss after ${i} steps: differs by ${difference}`);
  });
  const near = (found: number, expected: number, what: string): void => {
    const limit = TOLERANCE * Math.max(expected, NEGLIGIBLE * golden.grad_norm);
    assert.ok(Math.abs(found - expected) <= limit, `${what}: expected ${expected}, found ${found}`);
  };
  near(gradientNorm, golden.grad_norm, 'norm of the whole gradient');
  assert.deepEqual(Object.keys(gradients).sort(), Object.keys(golden.gradients).sort());
  for (const [tensor, { l2 }] of Object.entries(golden.gradients)) near(gradients[tensor]!, l2, tensor);
}

describe('golden training runs of the hybrid families', () => {
  for (const name of MODELS) {
    it(`${name}: losses and gradient norms within 1e-4`, () => check(name));
  }
});
