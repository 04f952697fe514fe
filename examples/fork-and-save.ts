// Reads a prompt once, continues it three ways, saves the session and restores it. Nothing is read twice.
// Run: node scripts/with-node.mjs examples/fork-and-save.ts
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel } from '@marimba/engine';

await using model = await loadModel('packages/marimba/model/speeches-jamba.q8_0.gguf');
using session = model.createSession();
await session.prefill(model.tokenizer!.encode('Theodore Roosevelt, 1905\nThe first duty of'));

// A fork copies the recurrent state (here 133 KiB) and shares the cache until one of the two writes.
for (const seed of [1, 2, 3]) {
  using fork = session.fork();
  const { text } = await fork.complete(' a', { maxTokens: 20, temperature: 0.7, seed });
  console.log(`${seed}: a${text.replaceAll('\n', ' ')}`);
}

const folder = await mkdtemp(join(tmpdir(), 'marimba-example-'));
const file = join(folder, 'roosevelt.session');
await session.saveTo(file);
using restored = await model.restoreSessionFrom(file);
const { reusedTokens } = (await restored.complete(' the', { maxTokens: 5, seed: 1 })).usage;
console.log(`restored at position ${session.position}: ${reusedTokens} tokens were not read again`);
await rm(folder, { recursive: true });
