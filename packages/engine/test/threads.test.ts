// Threads race through very many short runs: a run that ends twice, or never, or before its work is done,
// shows as wrong logits or as a hang (the runner's timeout).
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { loadModel } from '../src/index.ts';
import { coreOf } from '../src/model/model.ts';
import { largestDifference, modelFolder, readGolden, TOLERANCE } from './golden.ts';

for (const threads of [2, 3, 5]) {
  it(`${threads} threads on whatever cores there are: thousands of runs of all lengths`, {
    timeout: 120_000,
  }, async () => {
    const { prompts } = readGolden('jamba-moe');
    await using model = await loadModel(modelFolder('jamba-moe'), {
      threads,
      cacheType: 'f32',
      activations: 'f32',
    });
    const { backend, plan } = coreOf(model).runtime;
    const session = model.createSession();
    const [expected] = await model.step([{ session, tokens: prompts.len33, logits: 'last' }]);
    // Sections of any length, some with all threads woken, some with one; rows are live, so kernels do their
    // work.
    const load = { rows: 1, slots: 2, logitRows: 1, depth: 34 };
    for (let i = 0; i < 4000; i++) {
      const start = (i * 7919) % plan.headStart;
      const end = Math.min(plan.ops.length, start + 1 + ((i * 31) % 9));
      await backend.run(start, end, i % 3 ? load : undefined);
    }
    const fresh = model.createSession();
    const logits = await fresh.prefill(prompts.len33);
    assert.ok(largestDifference(logits, expected!.logits!) <= TOLERANCE);
  });
}
