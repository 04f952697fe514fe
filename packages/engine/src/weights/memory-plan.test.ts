// How models are spread over arenas: never more than an arena holds, no more arenas than needed, about as much
// in each; and what is refused before anything is read.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelFolder } from '../../test/golden.ts';
import { readSpec } from '../architecture/families/index.ts';
import { openCheckpointPath } from '../formats/checkpoint.node.ts';
import { loadModel } from '../index.ts';
import { checkFits, type MemoryNeeds, planMemory } from './memory-plan.ts';
import { findWeights, layoutOf } from './weights.ts';

const GIB = 2 ** 30;
const ROOM = 4 * GIB - 2 ** 27;

/** The needs of a tiny model of 14 layers, with so many bytes in each, and in embedding and head together. */
async function needs(layerBytes: number, ownBytes: number, sessionTokens = 1024): Promise<MemoryNeeds> {
  await using checkpoint = await openCheckpointPath(modelFolder('jamba-dense-mqa'));
  const { family, spec } = readSpec(checkpoint);
  const found = findWeights(checkpoint, family, spec);
  const rules = { quantize: null, activations: 'f32', packing: null } as const;
  const firstOf = new Set(found.map(({ layer }) => found.findIndex((weight) => weight.layer === layer)));
  const weights = found.map((weight, i) => {
    const byteLength = firstOf.has(i) ? (weight.layer < 0 ? ownBytes : layerBytes) : 0;
    return { ...weight, placed: { ...layoutOf(weight, rules), address: 0, byteLength } };
  });
  const traits = { codesByteLength: () => 0 };
  return { spec, weights, cacheType: 'f16', sessionTokens, traits, maxRows: 256, threads: 2 };
}

describe('a model is spread over arenas', () => {
  const cases: [layer: number, own: number, arenas: number][] = [
    [0.1, 0.1, 1],
    [0.26, 0.1, 1],
    [0.28, 0.1, 2],
    [0.5, 0.3, 2],
    [0.5, 0.7, 3],
    [0.55, 0.3, 3],
    [1.9, 1, 8],
    [3.8, 3.8, 15],
  ];
  for (const [layer, own, count] of cases)
    it(`layers of ${layer} GiB, embedding and head of ${own} GiB`, async () => {
      const plan = planMemory(await needs(layer * GIB, own * GIB));
      assert.equal(plan.arenas.length, count);
      assert.equal(plan.cuts.length, count - 1);
      assert.ok(plan.fitsSession);
      const sizes = plan.arenas.map((a) => a.weightBytes + a.workBytes + a.stateBytes);
      assert.ok(Math.max(...sizes) <= ROOM);
      assert.equal(Math.round(plan.weightBytes / 2 ** 20), Math.round((14 * layer + own) * 1024));
      assert.deepEqual(
        plan.arenas.flatMap(({ layers: [from, to] }) =>
          Array.from({ length: to - from }, (_, i) => from + i),
        ),
        Array.from({ length: 14 }, (_, i) => i),
      );
      // As even as layers allow: no arena has two layers more than another needs to have.
      if (count === 2) assert.ok(Math.abs(sizes[0]! - sizes[1]!) <= layer * GIB);
    });

  it('counts the state of the session that is to have room', async () => {
    const alone = planMemory(await needs(0.25 * GIB, 0.1 * GIB));
    const long = planMemory(await needs(0.25 * GIB, 0.1 * GIB, 2 ** 24));
    assert.equal(alone.arenas.length, 1);
    assert.ok(long.arenas.length > 1 && long.fitsSession);
    const endless = planMemory(await needs(0.25 * GIB, 0.1 * GIB, 2 ** 31));
    assert.equal(endless.fitsSession, false);
    assert.equal(endless.arenas.length, 1, 'no cut helps: as few as hold the weights');
  });

  it('is cut where it is told to', async () => {
    const { arenas } = planMemory(await needs(2 ** 20, 2 ** 20), [0, 3]);
    assert.deepEqual(
      arenas.map(({ layers, weightBytes }) => [...layers, weightBytes / 2 ** 20]),
      [
        [0, 0, 1],
        [0, 3, 3],
        [3, 14, 11],
      ],
    );
  });

  it('is refused where one part is larger than an arena', async () => {
    const layer = await needs(4 * GIB, GIB);
    assert.throws(() => planMemory(layer), {
      name: 'ModelError',
      code: 'out-of-memory',
      message: /memory: layer 0: expected at most 3\.8\d GiB, .* found 4\.00 GiB\. Use fewer bits/,
    });
    const own = await needs(GIB, 4 * GIB);
    assert.throws(() => planMemory(own), /memory: embedding and head: expected at most 3\.8\d GiB/);
  });
});

describe('a model that the machine has no memory for', () => {
  it('is refused with its plan', async () => {
    const plan = planMemory(await needs(0.5 * GIB, 0.3 * GIB));
    assert.throws(() => checkFits(plan, 5 * GIB), {
      name: 'ModelError',
      code: 'out-of-memory',
      message:
        /memory: expected 7\.3\d GiB free for 7\.30 GiB of weights in 2 WebAssembly memories \(layers 0–6, 7–13\) and 0\.0\d GiB to work in, found 5\.00 GiB\. Use fewer bits/,
    });
    checkFits(plan, 8 * GIB);
    checkFits(plan, null);
  });

  it('is refused before its weights are read', async () => {
    const read: string[] = [];
    await using file = await openCheckpointPath(modelFolder('jamba-moe'));
    const tensors = new Map(
      [...file.tensors].map(([name, tensor]) => [
        name,
        { ...tensor, source: { ...tensor.source, read: async () => void read.push(name) } },
      ]),
    );
    const options = { memoryBytes: 1000, threads: 1 };
    await assert.rejects(loadModel({ ...file, tensors }, options), /memory: expected .* free/);
    assert.deepEqual(read, []);
    await assert.rejects(loadModel(modelFolder('jamba-moe'), { memoryBytes: -1 }), /memoryBytes: expected/);
    await (await loadModel(modelFolder('jamba-moe'), { memoryBytes: Number.POSITIVE_INFINITY })).close();
  });
});
