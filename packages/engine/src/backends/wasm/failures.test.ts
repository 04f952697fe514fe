// Threads that trap, die or were given kernels of another version: what waits for them is told, at once and
// for good, and nothing keeps the process alive.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import type { Worker } from 'node:worker_threads';
import { modelFolder } from '../../../test/golden.ts';
import { loadModel, ModelError } from '../../index.ts';
import { address, defineOp } from '../../plan/ops/op.ts';
import { encodeOp, encodeRecord, registerOp } from '../../plan/ops.ts';
import { WasmBackend } from './backend.ts';
import { compileFile } from './load-kernels.ts';

/** A hang fails the test. */
const options = { timeout: 20_000 };
const COUNT = 400_000;
/** Beyond the memory: the kernel traps. */
const NOWHERE = 0xf000_0000;

/** Installs one `clear` of COUNT floats for each target; returns where 'room' is. */
async function install(backend: WasmBackend, targets: readonly (number | 'room')[]) {
  const { arena } = backend;
  const room = arena.allocate(COUNT * 4, 'floats');
  const records = targets.map((target) => {
    const record = arena.allocate(64, 'record');
    encodeOp('clear', { x: target === 'room' ? room : target, count: COUNT }, arena.views.u32, record / 4);
    return record;
  });
  await backend.install({ records, headStart: records.length });
  return room;
}

/** The threads that are started while `work` runs. */
async function startedBy<T>(work: () => Promise<T>): Promise<[T, Worker[]]> {
  const threads: Worker[] = [];
  const add = (worker: Worker) => threads.push(worker);
  process.on('worker', add);
  try {
    return [await work(), threads];
  } finally {
    process.off('worker', add);
  }
}

async function failureOf(promise: Promise<unknown>): Promise<ModelError> {
  const error = await promise.then(
    () => assert.fail('expected a failure'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ModelError, String(error));
  assert.equal(error.code, 'worker-failed');
  return error;
}

describe('a kernel that traps', () => {
  for (const threads of [1, 2, 4]) {
    it(`rejects the running step and all later ones (${threads} threads)`, options, async () => {
      const [backend, workers] = await startedBy(() => WasmBackend.create({ threads }));
      const room = await install(backend, ['room', 'room', NOWHERE, 'room']);
      backend.arena.views.f32.fill(1, room / 4, room / 4 + COUNT);
      await backend.run(0, 2);
      assert.equal(backend.arena.views.f32.indexOf(1, room / 4), -1);
      const error = await failureOf(backend.run(1, 4));
      assert.match(error.message, /^worker thread: clear: .*out of bounds.* Load the model again\.$/);
      assert.equal(await failureOf(backend.run(0, 1)), error);
      assert.equal(await failureOf(backend.load([], () => {})), error);
      await backend.close();
      assert.deepEqual(
        workers.map((worker) => worker.threadId),
        workers.map(() => -1),
      );
    });
  }

  const withoutThreads = `
    require('node:module').registerHooks({
      load(url, context, next) {
        const loaded = next(url, context);
        if (!url.endsWith('/platform.node.ts')) return loaded;
        const source = String(loaded.source).replace(/canShareMemory = .*;/, 'canShareMemory = () => false;');
        return { ...loaded, source };
      },
    });`;
  for (const [where, prelude] of [
    ['worker thread', ''],
    ['kernels', withoutThreads],
  ]) {
    it(`fails for good and lets the process end: ${where}`, options, async () => {
      const script = `${prelude}
        (async () => {
          const { WasmBackend } = await import('${new URL('./backend.ts', import.meta.url)}');
          const { encodeOp } = await import('${new URL('../../plan/ops.ts', import.meta.url)}');
          const backend = await WasmBackend.create({ threads: 2 });
          const record = backend.arena.allocate(64, 'record');
          encodeOp('clear', { x: ${NOWHERE}, count: ${COUNT} }, backend.arena.views.u32, record / 4);
          await backend.install({ records: [record], headStart: 1 });
          for (const end of [1, 0]) await backend.run(0, end).catch(({ message }) => console.log(message));
        })();`;
      const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { timeout: 15_000 });
      const [first, second] = stdout.trim().split('\n');
      assert.match(first!, new RegExp(`^${where}: clear: .*out of bounds`));
      assert.equal(second, first);
    });
  }
});

describe('a thread that dies', () => {
  it('rejects the step that waits for it', options, async () => {
    const [backend, workers] = await startedBy(() => WasmBackend.create({ threads: 2 }));
    await install(
      backend,
      Array.from({ length: 10_000 }, () => 'room' as const),
    );
    const running = failureOf(backend.run(0, 10_000));
    await workers[1]!.terminate();
    const error = await running;
    assert.match(error.message, /^worker thread: ended with exit code 1\. Load the model again\.$/);
    assert.equal(await failureOf(backend.run(0, 1)), error);
    await backend.close();
  });

  it('between steps rejects the next, of a session too, and the model can be closed', options, async () => {
    const [model, workers] = await startedBy(() => loadModel(modelFolder('jamba-dense-mqa'), { threads: 2 }));
    const session = model.createSession();
    await session.prefill([1, 2, 3]);
    await workers[0]!.terminate();
    const error = await failureOf(session.prefill([4]));
    assert.equal(await failureOf(session.prefill([4])), error);
    assert.equal(await failureOf(model.createSession().prefill([1])), error);
    await model.close();
  });

  it('is no obstacle to closing', options, async () => {
    const [backend, workers] = await startedBy(() => WasmBackend.create({ threads: 2 }));
    await install(backend, ['room']);
    const dying = workers[1]!.terminate();
    await backend.close();
    await dying;
  });
});

describe('kernels of another version', () => {
  const file = new URL('./build/kernels.baseline.wasm', import.meta.url);

  it('are refused by the name of the op that they lack', async () => {
    const bytes = new Uint8Array(await readFile(file));
    const name = '\x0dselectiveScan\x00';
    const at = Buffer.from(bytes.buffer).indexOf(name);
    assert.ok(at > 0);
    await compileFile(bytes.slice(), 'kernels.wasm');
    bytes[at + name.length - 2]! ^= 1;
    await assert.rejects(compileFile(bytes, 'kernels.wasm'), {
      name: 'ModelError',
      code: 'missing-kernels',
      message: /^kernels\.wasm: .* found none of selectiveScan: .*npm run build:kernels/,
    });
  });

  it('are refused when cut short', async () => {
    const bytes = new Uint8Array(await readFile(file));
    await assert.rejects(compileFile(bytes.slice(0, bytes.length / 2), 'kernels.wasm'), {
      name: 'ModelError',
      code: 'missing-kernels',
    });
  });

  it("an op of one's own has none: its plan is refused by its name", options, async () => {
    const mine = defineOp('mine', { x: address });
    registerOp(mine);
    const backend = await WasmBackend.create({ threads: 1 });
    const record = backend.arena.allocate(64, 'record');
    encodeRecord(mine, { x: 0 }, backend.arena.views.u32, record / 4);
    await assert.rejects(backend.install({ records: [record], headStart: 1 }), {
      name: 'ModelError',
      message: /^op mine: .*backend: 'reference'/,
    });
    await backend.close();
  });
});
