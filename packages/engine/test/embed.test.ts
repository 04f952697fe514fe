// Embedders and rerankers against sentence-transformers and transformers (fixtures/embedders, made by its
// make.py), on every backend.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { forceBuild, type KernelBuild } from '../src/backends/wasm/load-kernels.ts';
import { type Embedding, type LoadModelOptions, loadModel, type Model, UsageError } from '../src/index.ts';
import { largestDifference } from './golden.ts';
import { assertSameNumbers } from './same-numbers.ts';
import { sharedModel } from './shared-models.ts';

const SETTINGS = ['reference', 'relaxed', 'pairs', 'baseline'] as const;
const EXACT: LoadModelOptions = { cacheType: 'f32', activations: 'f32' };
/** Vectors of unit length, or states of deviation about 1. */
const TOLERANCE = 1e-5;

const folderOf = (name: string): string =>
  fileURLToPath(new URL(`../../../fixtures/embedders/${name}`, import.meta.url));

function golden<T>(name: string): T {
  return JSON.parse(readFileSync(`${folderOf(name)}/golden.json`, 'utf8')) as T;
}

async function load(name: string, backend: 'reference' | KernelBuild, threads = 2): Promise<Model> {
  if (backend === 'reference') return loadModel(folderOf(name), { ...EXACT, backend });
  forceBuild(backend);
  try {
    const variant = backend === 'pairs' ? 'relaxed' : backend;
    return await loadModel(folderOf(name), { ...EXACT, threads, variant });
  } finally {
    forceBuild(null);
  }
}

function within(found: readonly Embedding[], expected: readonly (readonly number[])[], what: string): void {
  assert.equal(found.length, expected.length, what);
  found.forEach(({ vector }, i) => {
    const difference = largestDifference(vector, expected[i]!);
    assert.ok(difference <= TOLERANCE, `${what} ${i}: differs by ${difference}`);
  });
}

interface EmbedderGolden {
  readonly texts: readonly string[];
  readonly tokens: readonly (readonly number[])[];
  readonly embeddings: readonly (readonly number[])[];
  readonly queries: readonly (readonly number[])[];
  readonly eight: readonly (readonly number[])[];
}

for (const setting of SETTINGS) {
  describe(`qwen3-embedding, ${setting}`, () => {
    it('equals sentence-transformers: last token, prompts, dimensions', async () => {
      const { texts, embeddings, queries, eight, tokens } = golden<EmbedderGolden>('qwen3-embedding');
      await using model = await load('qwen3-embedding', setting);
      const found = await model.embed(texts);
      within(found, embeddings, 'text');
      assert.deepEqual(
        found.map(({ tokenCount }) => tokenCount),
        tokens.map(({ length }) => length),
      );
      within(await model.embed(texts.slice(0, 3), { prompt: 'query' }), queries, 'query');
      within(await model.embed(texts.slice(0, 3), { dimensions: 8 }), eight, 'eight dimensions');
    });
  });

  describe(`qwen3-reranker, ${setting}`, () => {
    it('equals transformers: logit of yes minus that of no', async () => {
      const { query, documents, logits, counts } = golden<{
        query: string;
        documents: readonly string[];
        logits: readonly number[];
        counts: readonly number[];
      }>('qwen3-reranker');
      await using model = await load('qwen3-reranker', setting);
      const ranked = await model.rerank(query, documents);
      const order = logits.map((_, i) => i).sort((a, b) => logits[b]! - logits[a]!);
      assert.deepEqual(
        ranked.map(({ index }) => index),
        order,
      );
      for (const { index, logit, score, tokenCount, truncated } of ranked) {
        assert.ok(Math.abs(logit - logits[index]!) <= 3e-4, `${index}: ${logit}, expected ${logits[index]}`);
        assert.equal(score, 1 / (1 + Math.exp(-logit)));
        assert.equal(tokenCount, counts[index]);
        assert.equal(truncated, false);
      }
    });
  });
}

describe('embed', () => {
  const shared = () => sharedModel(folderOf('qwen3-embedding'), { ...EXACT, threads: 1 });
  const { texts, tokens } = golden<EmbedderGolden>('qwen3-embedding');

  it('gives the same vector alone or in company, and the same bits on any number of threads', async () => {
    const model = await shared();
    const together = await model.embed([...texts, ...texts.toReversed()]);
    for (const [i, text] of texts.entries()) {
      const [alone] = await model.embed(text);
      for (const one of [together[i]!, together[2 * texts.length - 1 - i]!])
        assert.ok(largestDifference(one.vector, alone!.vector) <= 2e-6, text);
    }
    await using threaded = await load('qwen3-embedding', 'relaxed', 3);
    const again = await threaded.embed([...texts, ...texts.toReversed()]);
    again.forEach(({ vector }, i) => assertSameNumbers(vector, together[i]!.vector, `text ${i}`));
  });

  it('reads more texts than a pass has room for, says how far it is, and frees what it used', async () => {
    const model = await shared();
    await model.embed(texts);
    const before = model.memory.usedBytes;
    const many = Array.from({ length: 300 }, (_, i) => texts[i % texts.length]!);
    const seen: number[] = [];
    const found = await model.embed(many, { onProgress: ({ done }) => seen.push(done) });
    assert.equal(found.length, 300);
    assert.ok(seen.length > 1 && seen.at(-1) === 300);
    const [alone] = await model.embed(many[299]!);
    assert.ok(largestDifference(found[299]!.vector, alone!.vector) <= 2e-6);
    await model.embed(many);
    const once = model.memory.usedBytes;
    await model.embed(many);
    assert.equal(model.memory.usedBytes, once);
    assert.ok(once - before < 2 ** 22, `${once - before} bytes more`);
  });

  it('says what it cut', async () => {
    const model = await shared();
    const [cut] = await model.embed([texts[4]!], { maxTokens: 7 });
    assert.deepEqual([cut!.tokenCount, cut!.truncated], [7, true]);
    const end = tokens[4]!.at(-1)!;
    const [same] = await model.embed([[...tokens[4]!.slice(0, 6), end]]);
    assertSameNumbers(cut!.vector, same!.vector, 'the first six tokens and the end token');
  });

  it('stops when aborted, and goes on afterwards', async () => {
    const model = await shared();
    const stop = new AbortController();
    const many = Array.from({ length: 400 }, (_, i) => texts[i % texts.length]!);
    const run = model.embed(many, { signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) });
    await assert.rejects(run, /enough/);
    assert.equal((await model.embed(texts)).length, texts.length);
  });

  it('pools in every way that it names', async () => {
    const model = await shared();
    const raw = { normalize: false } as const;
    const by = async (pooling: 'mean' | 'cls' | 'last' | 'max' | 'weightedMean' | 'meanSqrt') =>
      (await model.embed([[3, 7, 11]], { ...raw, pooling }))[0]!.vector;
    const rows: Float32Array[] = [];
    for (const count of [1, 2, 3])
      rows.push((await model.embed([[3, 7, 11].slice(0, count)], { ...raw, pooling: 'last' }))[0]!.vector);
    const each = (f: (a: number, b: number, c: number) => number) =>
      rows[0]!.map((a, i) => f(a, rows[1]![i]!, rows[2]![i]!));
    const same = (found: Float32Array, expected: Float32Array) =>
      assert.ok(largestDifference(found, expected) <= 1e-5);
    same(await by('cls'), rows[0]!);
    same(await by('last'), rows[2]!);
    same(
      await by('mean'),
      each((a, b, c) => (a + b + c) / 3),
    );
    same(await by('max'), each(Math.max));
    same(
      await by('weightedMean'),
      each((a, b, c) => (a + 2 * b + 3 * c) / 6),
    );
    same(
      await by('meanSqrt'),
      each((a, b, c) => (a + b + c) / Math.sqrt(3)),
    );
  });

  it('refuses what cannot be meant', async () => {
    const model = await shared();
    const refused = (run: Promise<unknown>, message: RegExp) =>
      assert.rejects(run, (error) => error instanceof UsageError && message.test(error.message));
    await refused(model.embed('x', { pooling: 'middle' as never }), /pooling: expected one of mean, cls/);
    await refused(model.embed('x', { dimensions: 33 }), /dimensions: expected a whole number from 1 to 32/);
    await refused(model.embed('x', { prompt: 'question' }), /prompt: expected document, query or \{ text \}/);
    await refused(model.embed('x', { dimension: 3 } as never), /option dimension does not exist/);
    await refused(model.embed([5 as never]), /text 1: expected a string or an array of token ids/);
    await refused(model.embed([[99_999]]), /token 99999/);
    await refused(model.rerank('q', ['d']), /has no output head/);
    assert.throws(() => model.createSession(), /has no output head/);
  });
});
