// Sessions saved to and restored from streams, Blobs and file handles: the bytes of `save()`, whatever their cuts, without
// anything left behind where they are wrong or the work is stopped.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  type FileHandleLike,
  type LoadModelOptions,
  type Model,
  StateError,
  UsageError,
} from '../src/index.ts';
import { modelFolder, readGolden } from './golden.ts';
import { sharedModel } from './shared-models.ts';
import { FAMILY_STATE_MODELS, type StateModel } from './state-models.ts';

const jamba = {
  name: 'jamba-corners',
  folder: modelFolder('jamba-corners'),
  prompts: readGolden('jamba-corners').prompts,
};
const text = jamba.prompts.len200;
const open = (options: LoadModelOptions = {}, folder = jamba.folder): Promise<Model> =>
  sharedModel(folder, { threads: 1, cacheType: 'f32', activations: 'f32', ...options });
const CASES: readonly (StateModel & { readonly backend: 'wasm' | 'reference' })[] = [
  { ...jamba, backend: 'wasm' },
  { ...jamba, backend: 'reference' },
  ...FAMILY_STATE_MODELS.map((model) => ({ ...model, backend: 'wasm' as const })),
];

/** Collects what is written. */
function collector(): {
  stream: WritableStream<Uint8Array>;
  bytes(): Uint8Array;
  closed: boolean;
  reason: unknown;
} {
  const chunks: Uint8Array[] = [];
  const state = {
    closed: false,
    reason: undefined as unknown,
    bytes: () => new Uint8Array(chunks.flatMap((chunk) => [...chunk])),
    stream: new WritableStream<Uint8Array>({
      write: (chunk) => void chunks.push(chunk),
      close: () => void (state.closed = true),
      abort: (reason) => void (state.reason = reason),
    }),
  };
  return state;
}

/** A stream of the bytes in chunks of this length. */
function streamOf(bytes: Uint8Array, chunkLength: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + chunkLength));
      at += chunkLength;
    },
  });
}

/** A file of a browser's own file system. */
class MemoryFile implements FileHandleLike {
  content = new Uint8Array();

  async getFile(): Promise<Blob> {
    return new Blob([this.content]);
  }

  async createWritable(): Promise<WritableStream> {
    const next = collector();
    const close = () => {
      this.content = new Uint8Array(next.bytes());
    };
    const writer = next.stream.getWriter();
    return new WritableStream({
      write: (chunk: Uint8Array) => writer.write(chunk),
      close: () => writer.close().then(close),
      abort: (reason) => writer.abort(reason),
    });
  }
}

for (const { name, folder, prompts, backend } of CASES) {
  describe(`saved sessions (${name}, ${backend})`, () => {
    const text = prompts.len200;

    it('are the same bytes in streams and file handles, and come back from every kind of source', async () => {
      const model = await open({ backend }, folder);
      const data = { mine: ['é', 1] };
      for (const length of [0, 70]) {
        const session = model.createSession();
        if (length) await session.prefill(text.slice(0, length));
        const whole = new Uint8Array(session.save({ data }));
        const target = collector();
        await session.saveTo(target.stream, { data });
        assert.ok(target.closed);
        assert.deepEqual(target.bytes(), whole);
        const file = new MemoryFile();
        await session.saveTo(file, { data });
        assert.deepEqual(file.content, whole);
        for (const source of [
          streamOf(whole, 1),
          streamOf(whole, 997),
          streamOf(whole, whole.length),
          new Blob([whole]),
          file,
        ]) {
          const restored = await model.restoreSessionFrom(source);
          assert.deepEqual([restored.data, restored.save({ data })], [data, whole]);
          restored.close();
        }
        session.close();
      }
    });

    it('that are cut short, damaged or too long are refused and leave no memory behind', async () => {
      const model = await open({ backend }, folder);
      const session = model.createSession();
      await session.prefill(text.slice(0, 70));
      const bytes = session.save();
      (await model.restoreSessionFrom(new Blob([bytes as Uint8Array<ArrayBuffer>]))).close();
      const used = model.memory.usedBytes;
      const damaged = bytes.slice();
      damaged[damaged.length >> 1]! ^= 1;
      for (const wrong of [
        bytes.slice(0, 5),
        bytes.slice(0, 100),
        bytes.slice(0, -1),
        damaged,
        new Uint8Array([...bytes, 0]),
      ])
        await assert.rejects(model.restoreSessionFrom(streamOf(wrong, 1000)), (error) => {
          assert.ok(error instanceof StateError, String(error));
          assert.equal(error.code, 'damaged-state');
          return true;
        });
      assert.equal(model.memory.usedBytes, used);
      session.close();
    });
  });
}

describe('saving and restoring', () => {
  it('stop when told to: streams are aborted with the reason, files stay as they were', async () => {
    const model = await open();
    const session = model.createSession();
    await session.prefill(text.slice(0, 70));
    const reason = new Error('enough');
    let stuck = new AbortController();
    let aborted: unknown;
    const heard = (work: () => unknown) =>
      new WritableStream<Uint8Array>({
        write: () => {
          stuck.abort(reason);
          return work() as undefined;
        },
        abort: (why) => void (aborted = why),
      });
    await assert.rejects(
      session.saveTo(
        heard(() => {}),
        { signal: stuck.signal },
      ),
      reason,
    );
    assert.equal(aborted, reason);
    stuck = new AbortController();
    const never = heard(() => new Promise(() => {}));
    await assert.rejects(session.saveTo(never, { signal: stuck.signal }), reason);
    const file = new MemoryFile();
    await assert.rejects(session.saveTo(file, { signal: AbortSignal.abort(reason) }), reason);
    assert.equal(file.content.length, 0);
    const folder = mkdtempSync(join(tmpdir(), 'marimba-abort-'));
    await assert.rejects(session.saveTo(join(folder, 's'), { signal: AbortSignal.abort(reason) }), reason);
    assert.deepEqual(readdirSync(folder), []);
    rmSync(folder, { recursive: true });
    assert.deepEqual(session.tokens.length, 70);
    await session.prefill([1]);
    session.close();
  });

  it('a stream that does not deliver is cancelled by an abort', async () => {
    const model = await open();
    const used = model.memory.usedBytes;
    const stop = new AbortController();
    let cancelled: unknown;
    const silent = new ReadableStream<Uint8Array>({
      pull: () => stop.abort(new Error('enough')),
      cancel: (why) => void (cancelled = why),
    });
    await assert.rejects(model.restoreSessionFrom(silent, { signal: stop.signal }), /enough/);
    assert.equal(cancelled, stop.signal.reason);
    assert.equal(model.memory.usedBytes, used);
  });

  it('refuse what is neither', async () => {
    const model = await open();
    const session = model.createSession();
    await assert.rejects(session.saveTo(7 as never), UsageError);
    await assert.rejects(model.restoreSessionFrom(null as never), UsageError);
    session.close();
  });
});
