// What the commands print about models: inspect, plan, pull.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MemoryPlan } from '@marimba/engine/architecture';
import { machineMemory } from '@marimba/engine/node';
import { marimba, modelPath } from './run.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'marimba-'));
});
after(() => rmSync(folder, { recursive: true }));

test('inspect --json describes a folder and a GGUF of the same model alike', async () => {
  const read = async (path: string) => {
    const { code, stdout, stderr } = await marimba(['inspect', path, '--json']);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as Record<string, unknown> & {
      parameters: Record<string, unknown>;
      bytes: { byPart: Record<string, number>; memory: number };
    };
  };
  const data = await read(modelPath('jamba-moe'));
  assert.equal(data.family, 'jamba');
  assert.equal(data.layers, 'MMeMMeAMeMMe');
  assert.equal(data.hiddenSize, 48);
  assert.equal(data.tokenizer, null);
  assert.deepEqual(Object.keys(data.state as object), ['recurrentBytes', 'cacheBytesPerToken', 'windows']);
  const parts = Object.values(data.bytes.byPart).reduce((sum, n) => sum + n, 0);
  assert.equal(parts, data.bytes.memory);
  assert.ok((data.parameters.activePerToken as number) < (data.parameters.total as number));
  const gguf = await read('fixtures/golden/gguf/jamba-moe.f32.gguf');
  assert.deepEqual(gguf.parameters, data.parameters);
  assert.deepEqual(gguf.state, data.state);
});

test('inspect draws the layers and says which weights take the fast path', async () => {
  const { code, stdout } = await marimba(['inspect', 'fixtures/golden/gguf/jamba-moe.q8_0.gguf']);
  assert.equal(code, 0);
  assert.match(stdout, /^ {2}MMMMAMMM\n {2}·E·E·E·E$/m);
  assert.match(stdout, /int8 dot products/);
  assert.match(stdout, /cache per token, q8/);
});

interface PlanData {
  readonly models: {
    name: string;
    memory: {
      context: number;
      cacheBytes: number;
      recurrentBytes: number;
      totalBytes: number;
      weightBytes: number;
    }[];
    speed: { decodeTokensPerSecond: number; promptTokensPerSecond: number }[];
  }[];
}

test('plan knows the published figures of Jamba 3B and Llama 3.2 3B, and forecasts from the given machine', async () => {
  const args = [
    'plan',
    'jamba-3b',
    '--against',
    'llama-3.2-3b',
    '--bandwidth',
    '30',
    '--compute',
    '150',
    '--json',
  ];
  const { code, stdout, stderr } = await marimba(args);
  assert.equal(code, 0, stderr);
  const { models } = JSON.parse(stdout) as PlanData;
  const [jamba, llama] = models;
  const last = jamba!.memory.at(-1)!;
  assert.equal(last.context, 262_144);
  assert.equal(last.cacheBytes, 262_144 * 1024); // 1 KiB a token in f16
  assert.ok(Math.abs(last.recurrentBytes / 2 ** 20 - 9.65) < 0.01);
  assert.equal(llama!.memory[0]!.cacheBytes, 1024 * 114_688);
  for (const { totalBytes, weightBytes, recurrentBytes, cacheBytes } of jamba!.memory)
    assert.equal(totalBytes, weightBytes + recurrentBytes + cacheBytes);
  // Reading all weights once a token bounds decoding.
  const decode = jamba!.speed[0]!.decodeTokensPerSecond;
  assert.ok(
    decode < 30e9 / (last.weightBytes * 0.95) && decode > 30e9 / (last.weightBytes * 1.2),
    `${decode}`,
  );
  assert.ok(llama!.speed.at(-1)!.decodeTokensPerSecond < jamba!.speed.at(-1)!.decodeTokensPerSecond / 5);
});

test('plan compares with all-attention by default, and draws an SVG', async () => {
  const svg = join(folder, 'memory.svg');
  const { code, stdout, stderr } = await marimba([
    'plan',
    modelPath('jamba-dense-mqa'),
    '--no-speed',
    '--context',
    '16K',
    '--svg',
    svg,
  ]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /jamba-dense-mqa as a pure transformer/);
  assert.match(stdout, /^ {2}16K /m);
  const text = readFileSync(svg, 'utf8');
  assert.match(text, /^<svg [^>]*>/);
  assert.equal(text.match(/<polyline /g)?.length, 2);
  assert.doesNotMatch(text, /NaN|undefined/);
});

test('plan takes a config.json by itself, and a transformer has no counterpart', async () => {
  const { code, stdout, stderr } = await marimba([
    'plan',
    `${modelPath('llama-tiny')}/config.json`,
    '--no-speed',
    '--context',
    '4K',
    '--json',
  ]);
  assert.equal(code, 0, stderr);
  const { models } = JSON.parse(stdout) as PlanData;
  assert.equal(models.length, 1);
  assert.deepEqual(
    models[0]!.memory.map((m) => m.context),
    [1024, 4096],
  );
});

test('a plan that does not fit says so, and like is compared with like', async () => {
  const mini = await marimba(['plan', 'jamba-mini', '--no-speed', '--memory', '24']);
  assert.match(mini.stdout, /this machine: 24\.0 GiB\n/);
  assert.match(
    mini.stdout.replace(/\s+/g, ' '),
    /jamba-mini cannot run here, because it needs 29\.2 GiB and this machine has 24\.0 GiB/,
  );
  const small = await marimba(['plan', '--no-speed', '--json']);
  const { models } = JSON.parse(small.stdout) as { models: { weights: string; cannotRun: unknown }[] };
  assert.deepEqual(
    models.map(({ weights, cannotRun }) => [weights.match(/Q8_0/)?.[0], cannotRun]),
    [
      ['Q8_0', null],
      ['Q8_0', null],
    ],
  );
  const text = (await marimba(['plan', '--no-speed'])).stdout;
  const [curve, other] = [...text.matchAll(/^ +(\S\S) speeches/gm)].map((match) => match[1]);
  assert.ok(curve && other && curve !== other, 'two curves are told apart without colours');
});

test('plan and inspect say over how many memories a model is spread', async () => {
  const low = ['--no-speed', '--quantize', 'q2_K', '--context', '4K', '--json'];
  const { code, stdout, stderr } = await marimba(['plan', 'jamba-mini', '--memory', '24', ...low]);
  assert.equal(code, 0, stderr);
  const [{ spread, memory, cannotRun }] = JSON.parse(stdout).models;
  assert.equal(cannotRun, null);
  const sizes = spread.arenas.map(
    (a: MemoryPlan['arenas'][number]) => a.weightBytes + a.workBytes + a.stateBytes,
  );
  assert.equal(sizes.length, Math.ceil(memory[0].weightBytes / (2 ** 32 - 2 ** 29)));
  assert.ok(sizes.every((bytes: number) => bytes < 2 ** 32));
  assert.deepEqual(
    spread.arenas.map(({ layers: [from] }: MemoryPlan['arenas'][number]) => from),
    [0, ...spread.cuts],
  );
  const text = (await marimba(['plan', 'jamba-mini', ...low.slice(0, -1)])).stdout.replace(/\s+/g, ' ');
  assert.match(
    text,
    /jamba-mini takes \d WebAssembly memories of [\d.]+ to [\d.]+ GiB, each with its part of 32K tokens/,
  );
  const inspected = (await marimba(['inspect', modelPath('jamba-moe')])).stdout;
  assert.match(inspected, /this machine +[\d.]+ GiB free of [\d.]+ GiB/);
  assert.doesNotMatch(inspected, /spread over/);
});

test('models lists what fits; the shapes have as many parameters as their pages say', async () => {
  const { code, stdout, stderr } = await marimba(['models', '--json']);
  assert.equal(code, 0, stderr);
  const list = JSON.parse(stdout) as Record<string, number | string | null>[];
  assert.ok(list.length >= 10);
  const { totalBytes } = machineMemory();
  for (const model of list) {
    const millions = Number(model.parameters) / 1e6;
    const published = Number(model.publishedParameters);
    assert.ok(
      Math.abs(millions - published) <= Math.max(0.5, published * 1e-3),
      `${model.name}: ${millions}`,
    );
    assert.equal(model.cannotRun !== null, Number(model.bytesAt4K) > totalBytes, `${model.name}`);
  }
  const text = (await marimba(['models'])).stdout;
  const needy = /Jamba-Mini-1\.7 cannot run\s+here, because\s+it needs 29\.2 GiB/;
  assert.equal(needy.test(text), totalBytes < 29 * 2 ** 30);
});

test('pull --list of an empty cache', async () => {
  const environment = { MARIMBA_CACHE: folder };
  const listed = await marimba(['pull', '--list', '--json'], '', environment);
  assert.equal(listed.code, 0, listed.stderr);
  assert.deepEqual(JSON.parse(listed.stdout), []);
  const removed = await marimba(['pull', 'owner/name', '--remove'], '', environment);
  assert.equal(removed.code, 1);
  assert.match(removed.stderr, /not in the cache/);
});
