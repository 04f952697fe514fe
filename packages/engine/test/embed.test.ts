// Embedders and rerankers against sentence-transformers and transformers (fixtures/embedders, made by its
// make.py), on every backend.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { forceBuild, type KernelBuild } from '../src/backends/wasm/load-kernels.ts';
import { type Embedding, type LoadModelOptions, loadModel, type Model, UsageError } from '../src/index.ts';
import { coreOf } from '../src/model/model.ts';
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
  /** Of the first three texts, with a prompt. */
  readonly queries?: readonly (readonly number[])[];
  /** Of the first three texts, the first eight numbers. */
  readonly eight?: readonly (readonly number[])[];
}

/** Folders, and the prompt of their `queries`. */
const EMBEDDERS: readonly (readonly [string, string | null])[] = [
  ['qwen3-embedding', 'query'],
  ['nomic-bert', 'search_query'],
  ['roberta', null],
  ['modernbert', null],
  ['embedding-gemma', 'query'],
  ['static', null],
];

for (const setting of SETTINGS) {
  describe(`embedders, ${setting}`, () => {
    for (const [name, prompt] of EMBEDDERS)
      it(`${name} equals sentence-transformers`, async () => {
        const { texts, embeddings, queries, eight, tokens } = golden<EmbedderGolden>(name);
        await using model = await load(name, setting);
        const found = await model.embed(texts);
        within(found, embeddings, 'text');
        found.forEach(({ tokenCount, truncated }, i) => {
          const { length } = tokens[i]!;
          assert.deepEqual(
            [tokenCount, truncated],
            [Math.min(length, model.contextLength), length > model.contextLength],
          );
        });
        if (queries) within(await model.embed(texts.slice(0, 3), { prompt: prompt! }), queries, 'query');
        if (eight) within(await model.embed(texts.slice(0, 3), { dimensions: 8 }), eight, 'eight dimensions');
      });

    it('nomic-bert.f32.gguf holds the same, with q, k and v in one tensor', async () => {
      const { texts, embeddings } = golden<EmbedderGolden>('nomic-bert');
      await using model = await load('nomic-bert.f32.gguf', setting);
      within(await model.embed(texts, { normalize: false, maxTokens: 64 }), embeddings, 'text');
    });

    for (const file of ['bert', 'bert.f32.gguf'])
      it(`${file} equals transformers: hidden states, pairs, texts`, () => checkBert(file, setting));
  });

  describe(`rerankers, ${setting}`, () => {
    for (const name of ['qwen3-reranker', 'cross-encoder'])
      it(`${name} equals transformers`, async () => {
        const { query, documents, logits, counts } = golden<{
          query: string;
          documents: readonly string[];
          logits: readonly number[];
          counts: readonly number[];
        }>(name);
        await using model = await load(name, setting);
        const ranked = await model.rerank(query, documents);
        const order = logits.map((_, i) => i).sort((a, b) => logits[b]! - logits[a]!);
        assert.deepEqual(
          ranked.map(({ index }) => index),
          order,
        );
        for (const { index, logit, score, tokenCount, truncated } of ranked) {
          assert.ok(
            Math.abs(logit - logits[index]!) <= 3e-4,
            `${index}: ${logit}, expected ${logits[index]}`,
          );
          assert.equal(score, 1 / (1 + Math.exp(-logit)));
          assert.equal(tokenCount, counts[index]);
          assert.equal(truncated, false);
        }
      });
  });
}

interface BertGolden {
  readonly prompts: Readonly<Record<string, readonly number[]>>;
  readonly embeddings: Readonly<Record<string, readonly number[]>>;
  /** Of the prompt of 33 tokens, [33][36]. */
  readonly hidden: readonly number[];
  readonly pair: { readonly tokens: number[]; readonly types: number[]; readonly hidden: readonly number[] };
  readonly texts: readonly {
    readonly text: string;
    readonly tokens: number[];
    readonly embedding: number[];
  }[];
}

/** States of deviation about 1. */
const STATE_TOLERANCE = 1e-5;

async function checkBert(file: string, setting: (typeof SETTINGS)[number]): Promise<void> {
  const { prompts, embeddings, hidden, pair, texts } = golden<BertGolden>('bert');
  await using model = await load(file, setting);
  const names = Object.keys(prompts);
  const mean = { pooling: 'mean', normalize: true } as const;
  within(
    await model.embed(
      names.map((name) => prompts[name]!),
      mean,
    ),
    names.map((name) => embeddings[name]!),
    'prompt',
  );
  const found = await model.embed(
    texts.map(({ text }) => text),
    mean,
  );
  within(
    found,
    texts.map(({ embedding }) => embedding),
    'text',
  );
  for (const { text, tokens } of texts)
    assert.deepEqual([...model.encode(text), ...model.tokenizer!.frame.after], tokens);
  const { runtime } = coreOf(model);
  const states = [runtime.createState(), runtime.createState()];
  const wanted = { output: 'hidden', logits: 'all' } as const;
  const [long, two] = await runtime.step([
    { state: states[0]!, tokens: prompts.len33!, ...wanted },
    { state: states[1]!, tokens: pair.tokens, types: pair.types, ...wanted },
  ]);
  for (const [rows, expected] of [
    [long, hidden],
    [two, pair.hidden],
  ] as const) {
    const difference = largestDifference(rows!, expected);
    assert.ok(difference <= STATE_TOLERANCE, `states differ by ${difference}`);
  }
  for (const state of states) state.dispose();
}

describe('an encoder', () => {
  it('refuses by name what it cannot do', async () => {
    await using model = await load('bert', 'relaxed');
    assert.throws(() => model.createSession(), /bert is an encoder: .*model\.embed.* no sessions/);
    assert.throws(() => model.createChat(), /is an encoder: .* no conversations/);
    await assert.rejects(model.rerank('q', ['d']), /is an encoder/);
    await assert.rejects(
      loadModel(folderOf('bert'), { contextLength: 65 }),
      /contextLength: expected at most 64/,
    );
  });

  it('gives the same vector alone or in company, and the same bits on any number of threads', async () => {
    const { texts } = golden<EmbedderGolden>('modernbert');
    const one = await load('modernbert', 'relaxed', 1);
    const many = Array.from({ length: 200 }, (_, i) => texts[(i * 5) % texts.length]!);
    const together = await one.embed(many);
    for (const [i, text] of texts.entries()) {
      const [alone] = await one.embed(text);
      const at = many.indexOf(text);
      const difference = largestDifference(together[at]!.vector, alone!.vector);
      assert.ok(difference <= 1e-6, `text ${i}: ${difference}`);
    }
    await one.close();
    await using three = await load('modernbert', 'relaxed', 3);
    (await three.embed(many)).forEach(({ vector }, i) =>
      assertSameNumbers(vector, together[i]!.vector, `text ${i}`),
    );
  });
});

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
