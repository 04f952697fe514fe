// Finds the passages of a file that are nearest to a query, with any embedder. Run:
// node scripts/with-node.mjs examples/search.ts MODEL README.md "how are sessions saved?"
import { readFile } from 'node:fs/promises';
import { loadModel } from '@marimba/engine';

const [source = 'sentence-transformers/all-MiniLM-L6-v2', file = 'README.md', query = 'how do I begin?'] =
  process.argv.slice(2);
const passages = (await readFile(file, 'utf8')).split(/\n{2,}/).filter((passage) => passage.length > 80);

await using model = await loadModel(source);
const { query: hasPrompt } = model.embedding.prompts;
const [asked] = await model.embed(query, {
  prompt: hasPrompt === undefined ? null : 'query',
  normalize: true,
});
const embedded = await model.embed(passages, { normalize: true });

embedded
  .map(({ vector }, i) => ({
    cosine: vector.reduce((sum, value, j) => sum + value * asked!.vector[j]!, 0),
    passage: passages[i]!,
  }))
  .sort((a, b) => b.cosine - a.cosine)
  .slice(0, 3)
  .forEach(({ cosine, passage }) =>
    console.log(`${cosine.toFixed(3)}  ${passage.slice(0, 100).replaceAll('\n', ' ')}`),
  );
