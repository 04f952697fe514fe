// marimba embed and marimba rerank, and what inspect says of an embedder.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { marimba, root } from './run.ts';

const MODELS = 'fixtures/embedders';
let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'marimba-'));
});
after(() => rmSync(folder, { recursive: true }));

const golden = (name: string) =>
  JSON.parse(readFileSync(`${root}/${MODELS}/${name}/golden.json`, 'utf8')) as {
    texts: string[];
    queries: number[][];
    query: string;
    documents: string[];
    logits: number[];
  };

test('embed prints vectors, with the prompt that is named', async () => {
  const { texts, queries } = golden('nomic-bert');
  const model = `${MODELS}/nomic-bert`;
  const args = ['embed', model, ...texts.slice(0, 2), '--prompt', 'search_query', '--threads', '1'];
  const { code, stdout, stderr } = await marimba(args);
  assert.equal(code, 0, stderr);
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number));
  assert.equal(rows.length, 2);
  for (const [i, row] of rows.entries())
    for (const [j, value] of row.entries()) assert.ok(Math.abs(value - queries[i]![j]!) < 1e-5);
});

test('embed reads lines of a file, says what it cut, and writes float32', async () => {
  const file = join(folder, 'texts.txt');
  const output = join(folder, 'out.f32');
  writeFileSync(file, `a bar\n\n${'resonator '.repeat(90)}\n`);
  const { code, stdout, stderr } = await marimba([
    'embed',
    `${MODELS}/modernbert`,
    '--file',
    file,
    '--output',
    output,
    '--json',
    '--dimensions',
    '6',
  ]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /1 of 2 texts had more than 64 tokens: their ends were cut/);
  const { dimensions, embeddings } = JSON.parse(stdout) as {
    dimensions: number;
    embeddings: { tokenCount: number; truncated: boolean; vector?: number[] }[];
  };
  assert.equal(dimensions, 6);
  assert.deepEqual(
    embeddings.map(({ truncated }) => truncated),
    [false, true],
  );
  assert.equal(embeddings[0]!.vector, undefined);
  assert.equal(readFileSync(output).length, 2 * 6 * 4);
});

test('embed --compare prints cosines with the first text', async () => {
  const { code, stdout } = await marimba(['embed', `${MODELS}/bert`, 'water', 'water', 'sound', '--compare']);
  assert.equal(code, 0);
  const [first, same, other] = stdout.split('\n').map((line) => Number(line.split(' ')[0]));
  assert.deepEqual([first, same], [1, 1]);
  assert.ok(other! < 1);
});

test('rerank sorts documents, files or lines', async () => {
  const { query, documents, logits } = golden('qwen3-reranker');
  const file = join(folder, 'documents.txt');
  const kept = documents.map((text, i) => ({ text, logit: logits[i]! })).filter(({ text }) => text.trim());
  writeFileSync(file, kept.map(({ text }) => text).join('\n'));
  const { code, stdout, stderr } = await marimba([
    'rerank',
    `${MODELS}/qwen3-reranker`,
    '--query',
    query,
    '--lines',
    file,
    '--top',
    '2',
    '--json',
  ]);
  assert.equal(code, 0, stderr);
  const best = kept.toSorted((a, b) => b.logit - a.logit).slice(0, 2);
  const found = (JSON.parse(stdout) as { documents: { document: string }[] }).documents;
  assert.deepEqual(
    found.map(({ document }) => document.slice(0, 20)),
    best.map(({ text }) => text.slice(0, 20)),
  );
});

test('a model that cannot do it says so', async () => {
  const rerank = await marimba(['rerank', `${MODELS}/bert`, 'README.md', '--query', 'x']);
  assert.equal(rerank.code, 2);
  assert.match(rerank.stderr, /is an encoder/);
  const generate = await marimba(['generate', `${MODELS}/bert`, '--prompt', 'x']);
  assert.notEqual(generate.code, 0);
  assert.match(generate.stderr, /is an encoder: it turns texts into vectors/);
});

test('inspect says how an embedder makes vectors', async () => {
  const { code, stdout } = await marimba(['inspect', `${MODELS}/embedding-gemma`]);
  assert.equal(code, 0);
  assert.match(
    stdout,
    /Embedding\n {2}dimensions +24, unit length\n {2}pooling +mean\n {2}longest text +64 tokens/,
  );
  assert.match(stdout, /prompt query +"task: search result \| query: "/);
  assert.doesNotMatch(stdout, /cache per token/);
});
