// Documents packed into one row see nothing of each other: the scan's state, the convolution's last inputs
// and what attention may look at all begin anew. So a packed batch gives the losses and the gradient of its
// documents trained each on its own.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createBackend } from '@marimba/engine/plan';
import type { TrainingBatch } from '../data/batches.ts';
import { attention, dense, experts, mamba, model, randomBatch } from '../gradient/testing.ts';
import { initialise } from './initialise.ts';
import { TrainingRuntime } from './runtime.ts';

const DOCUMENTS = [70, 1, 5, 64, 33];
const rope = { theta: 100, rotary: 6, scaling: null };
const MIXERS = {
  'scan and convolution': mamba({ convWidth: 4 }),
  attention: attention({ rope }),
  'attention with a window': attention({ window: 40 }),
};

function alone({ tokens, targets }: TrainingBatch, from: number, to: number): TrainingBatch {
  return {
    sequences: 1,
    length: to - from,
    tokens: tokens.slice(from, to),
    targets: targets.slice(from, to),
    documentStarts: Uint32Array.of(0),
  };
}

for (const backend of ['reference', 'wasm'] as const) {
  describe(`packed documents, ${backend}`, () => {
    for (const [name, mixer] of Object.entries(MIXERS)) {
      it(`${name}: losses and gradient of each document on its own`, async () => {
        const spec = model([
          { mixers: [mixer], feedForward: experts() },
          { mixers: [mixer], feedForward: dense() },
        ]);
        const packed = randomBatch(spec.vocabularySize, DOCUMENTS, 5);
        packed.targets[70] = 3; // the document of one token has a target too
        const ends = DOCUMENTS.map((_, i) => DOCUMENTS.slice(0, i + 1).reduce((sum, n) => sum + n, 0));
        const parts = ends.map((end, i) => alone(packed, end - DOCUMENTS[i]!, end));
        const runtime = await TrainingRuntime.create(spec, await createBackend({ backend, threads: 2 }), {
          maxTokens: packed.tokens.length,
        });
        try {
          initialise(runtime.store, spec, 3);
          const together = (await runtime.evaluate(packed)).losses;
          const apart: number[] = [];
          for (const part of parts) apart.push(...(await runtime.evaluate(part)).losses);
          near(together, apart, 1e-6);
          await runtime.gradients([packed]);
          const gradient = runtime.store.block('gradients').slice();
          await runtime.gradients(parts);
          near(gradient, runtime.store.block('gradients'), 1e-5);
        } finally {
          await runtime.close();
        }
      });
    }
  });
}

/** Within a share of the largest value. */
function near(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(found.length, expected.length);
  const largest = Math.max(...Array.from(expected, Math.abs));
  for (let i = 0; i < found.length; i++)
    assert.ok(
      Math.abs(found[i]! - expected[i]!) <= tolerance * largest,
      `${i}: expected ${expected[i]}, found ${found[i]}`,
    );
}
