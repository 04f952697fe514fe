// Sessions share memory and files: whatever is copied late, taken over or read into place, each continues from
// its own state, and memory comes back.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { FormatError, type LoadModelOptions, type Model, StateError, UsageError } from '../src/index.ts';
import { type GoldenModel, largestDifference, modelFolder, readGolden, TOLERANCE } from './golden.ts';
import { sharedModel } from './shared-models.ts';

const EXACT: LoadModelOptions = { threads: 1, cacheType: 'f32', activations: 'f32' };
const open = (name: GoldenModel, options: LoadModelOptions = {}) =>
  sharedModel(modelFolder(name), { ...EXACT, ...options });
const text = readGolden('jamba-corners').prompts.len200;

async function same(model: Model, tokens: readonly number[], logits: ArrayLike<number>, what: string) {
  const fresh = model.createSession();
  const difference = largestDifference(await fresh.prefill(tokens), logits);
  assert.ok(difference <= TOLERANCE, `${what}: logits differ by ${difference}`);
  fresh.close();
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'marimba-state-'));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Bytes in use once nothing is under way. A block that is touched ahead waits for one turn of the event loop
 * before its first page and one for every 64 pages (state/recurrent-blocks.ts); the models here have fewer.
 */
async function settledBytes(model: Model): Promise<number> {
  assert.ok(model.memory.recurrentBytes < 64 * 4096);
  for (let turn = 0; turn < 4; turn++) await setImmediate();
  return model.memory.usedBytes;
}

describe('forks and snapshots', () => {
  it('continue from where they were taken, in any order, whoever was closed before', async () => {
    const model = await open('jamba-corners');
    const origin = model.createSession();
    await origin.prefill(text.slice(0, 70));
    const forks = [origin.fork(), origin.fork(), origin.fork()];
    const grandchild = forks[0]!.fork();
    const snapshot = forks[1]!.snapshot();
    await origin.prefill(text.slice(100, 120));
    forks[1]!.close();
    await same(
      model,
      [...text.slice(0, 70), ...text.slice(90, 95)],
      await grandchild.prefill(text.slice(90, 95)),
      'a fork of a fork that has not moved',
    );
    for (const [i, fork] of [forks[0]!, forks[2]!].entries()) {
      const next = text.slice(130 + 10 * i, 140 + 10 * i);
      await same(model, [...text.slice(0, 70), ...next], await fork.prefill(next), `fork ${i}`);
    }
    origin.restore(snapshot);
    snapshot.close();
    await same(
      model,
      text.slice(0, 80),
      await origin.prefill(text.slice(70, 80)),
      'the last holder of a snapshot',
    );
  });

  it('hold more states than have room in the arena', async () => {
    const model = await open('jamba-corners');
    const session = model.createSession();
    const snapshots = [];
    for (let end = 1; end <= 20; end++) {
      await session.prefill(text.slice(end - 1, end));
      snapshots.push(session.snapshot());
    }
    for (const snapshot of snapshots.toReversed()) {
      const { position } = snapshot;
      session.restore(snapshot);
      const fork = session.fork();
      const tokens = [...text.slice(0, position), ...text.slice(150, 153)];
      await same(model, tokens, await fork.prefill(text.slice(150, 153)), `fork at ${position}`);
      fork.close();
    }
  });

  it('of one state share its copy, and give all memory back', async () => {
    const model = await open('jamba-corners', { prefixCacheBytes: 0 });
    const live = async () => {
      const session = model.createSession();
      await session.prefill(text.slice(0, 70));
      const first = session.snapshot();
      const used = model.memory.usedBytes;
      const others = Array.from({ length: 20 }, () => session.snapshot());
      assert.equal(model.memory.usedBytes, used);
      const forks = [session.fork(), session.fork()];
      await forks[0]!.prefill([1]);
      await session.prefill([2]);
      session.restore(first);
      const tail = session.fork();
      for (const snapshot of [first, ...others]) snapshot.close();
      await tail.prefill([3]);
      for (const open of [session, tail, ...forks]) open.close();
      return settledBytes(model);
    };
    const once = await live();
    assert.equal(await live(), once);
  });
});

describe('session files', () => {
  for (const backend of ['wasm', 'reference'] as const) {
    it(`hold the bytes of save(), and continue (${backend})`, () =>
      inFolder(async (folder) => {
        const model = await open('jamba-corners', { backend });
        const path = join(folder, 'session');
        for (const length of [0, 1, 64, 150]) {
          const session = model.createSession();
          if (length) await session.prefill(text.slice(0, length));
          await session.saveTo(path);
          assert.deepEqual(new Uint8Array(readFileSync(path)), session.save());
          const restored = await model.restoreSessionFrom(path);
          assert.deepEqual(restored.tokens, session.tokens);
          assert.deepEqual(restored.save(), session.save());
          const next = text.slice(length, length + 10);
          await same(model, text.slice(0, length + 10), await restored.prefill(next), `${length} tokens`);
          const data = { note: 'what the application keeps with it', list: [1, null, 'x'.repeat(100_000)] };
          await session.saveTo(path, { data });
          assert.deepEqual(new Uint8Array(readFileSync(path)), session.save({ data }));
          const withData = await model.restoreSessionFrom(path);
          assert.deepEqual(withData.data, data);
          assert.deepEqual(withData.save(), session.save(), 'data are not carried along by themselves');
          const signal = AbortSignal.abort(new Error('enough'));
          await assert.rejects(session.saveTo(path, { signal }), /enough/);
          await assert.rejects(model.restoreSessionFrom(path, { signal }), /enough/);
          assert.deepEqual((await model.restoreSessionFrom(path)).data, data, 'the file stays');
        }
        assert.deepEqual(readdirSync(folder), ['session']);
      }));
  }

  it('are refused when any byte is not as it was written, and leave no memory behind', () =>
    inFolder(async (folder) => {
      const model = await open('mamba-tiny');
      const path = join(folder, 'session');
      const session = model.createSession();
      await session.prefill([1, 2, 3]);
      await session.saveTo(path);
      const saved = readFileSync(path);
      (await model.restoreSessionFrom(path)).close();
      const used = await settledBytes(model);
      const refused = async (bytes: Uint8Array, what: string) => {
        writeFileSync(path, bytes);
        await assert.rejects(model.restoreSessionFrom(path), StateError, what);
      };
      const step = Math.ceil(saved.length / 1500);
      for (let i = 0; i < saved.length; i += i < 1024 ? 1 : step) {
        saved[i] = saved[i]! ^ 0x41;
        await refused(saved, `byte ${i}`);
        saved[i] = saved[i]! ^ 0x41;
      }
      for (const length of [0, 1, 19, 20, 400, saved.length - 1])
        await refused(saved.subarray(0, length), `${length} bytes`);
      await refused(new Uint8Array([...saved, 0]), 'a byte too many');
      assert.equal(await settledBytes(model), used);
      assert.equal(session.position, 3);
      await same(model, [1, 2, 3, 4], await session.prefill([4]), 'the session that was saved');
    }));

  it('of another model, or longer than allowed, are refused before anything is allocated', () =>
    inFolder(async (folder) => {
      const moe = await open('jamba-moe');
      const dense = await open('jamba-dense-mqa');
      const short = await open('jamba-moe', { contextLength: 2 });
      const path = join(folder, 'session');
      const session = moe.createSession();
      await session.prefill([1, 2, 3]);
      await session.saveTo(path);
      await assert.rejects(dense.restoreSessionFrom(path), /fingerprint/);
      await assert.rejects(short.restoreSessionFrom(path), /context length 2, found 3/);
      assert.throws(() => short.restoreSession(session.save()), /context length 2, found 3/);
      await assert.rejects(moe.restoreSessionFrom(join(folder, 'none')), FormatError);
    }));

  it('replace the one before only when they are whole; the session is busy meanwhile', () =>
    inFolder(async (folder) => {
      const model = await open('mamba-tiny');
      const session = model.createSession();
      await session.prefill([1, 2, 3]);
      const saving = session.saveTo(join(folder, 'session'));
      await assert.rejects(session.prefill([4]), UsageError);
      await saving;
      await assert.rejects(session.saveTo(join(folder, 'no folder', 'session')), /ENOENT/);
      assert.deepEqual(readdirSync(folder), ['session']);
      await session.prefill([4]);
    }));

  it('of two sessions under one name at once are one or the other', () =>
    inFolder(async (folder) => {
      const model = await open('mamba-tiny');
      const path = join(folder, 'session');
      const sessions = [model.createSession(), model.createSession()] as const;
      await sessions[0].prefill([1, 2, 3]);
      await sessions[1].prefill([4, 5]);
      await Promise.all(sessions.map((session) => session.saveTo(path)));
      const { tokens } = await model.restoreSessionFrom(path);
      assert.ok([3, 2].includes(tokens.length));
      assert.deepEqual(tokens, tokens.length === 3 ? [1, 2, 3] : [4, 5]);
      assert.deepEqual(readdirSync(folder), ['session']);
    }));
});
