// The thread belongs to others, too: what computes on the calling thread lets timers fire in the middle of a
// generation.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadModel } from '../src/index.ts';

const FILE = join(import.meta.dirname, '../../../fixtures/golden/gguf/jamba-dense-mqa.f32.gguf');
const MAX_TOKENS = 300;

test('an abort by a timer ends a generation of the reference backend', async () => {
  const model = await loadModel(FILE, { backend: 'reference' });
  let timers = 0;
  const stop = new AbortController();
  const timer = setInterval(() => void (++timers === 3 && stop.abort()), 1);
  try {
    const session = model.createSession();
    // Reasons differ in how they end a generation; only that it ends early counts here.
    await (async () => {
      for await (const _ of session.generate([1], {
        maxTokens: MAX_TOKENS,
        ignoreEos: true,
        signal: stop.signal,
      }));
    })().catch((error: unknown) => assert.equal(error, stop.signal.reason));
    assert.ok(timers >= 3, `${timers} timers fired while tokens were computed`);
    assert.ok(session.position < MAX_TOKENS, `${session.position} tokens before the third timer`);
  } finally {
    clearInterval(timer);
    await model.close();
  }
});
