// Continues a passage with the bundled model, offline. Run: node scripts/with-node.mjs examples/passage.ts
import { loadModel } from '@marimba/engine';

await using model = await loadModel('packages/marimba/model/speeches-jamba.q8_0.gguf');
using session = model.createSession();
const passage = session.generate('Abraham Lincoln, 1862\n', { maxTokens: 60, temperature: 0.7, seed: 2 });
for await (const { text } of passage) process.stdout.write(text);
const { usage, timings } = await passage.result;
console.log(`\n${usage.generatedTokens} tokens, ${timings.tokensPerSecond.toFixed(0)} per second`);
