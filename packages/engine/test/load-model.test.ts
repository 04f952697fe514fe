// What `loadModel` accepts, refuses and reports.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { HubError, type LoadProgress, loadModel, type MarimbaError, UsageError } from '../src/index.ts';
import { ggufFile } from './golden.ts';

const FILE = join(import.meta.dirname, '../../../fixtures/golden/gguf/llama-tiny.q8_0.gguf');

describe('loadModel', () => {
  it('refuses options that do not exist or mean nothing, and says which exist', async () => {
    for (const [options, message] of [
      [{ quantise: 'q4_K' }, /option quantise does not exist\. Known: backend, threads/],
      [{ cache_type: 'f16' }, /option cache_type does not exist\. Write cacheType\./],
      [{ wideSimd: true }, /wideSimd: expected 'auto' or false, found true/],
      [null, /expected an object of options, found null/],
    ] as const)
      await assert.rejects(loadModel(FILE, options as never), (error) => {
        assert.ok(error instanceof UsageError, String(error));
        assert.match(error.message, message);
        return true;
      });
  });

  it('refuses what is no model', async () => {
    for (const source of [undefined, null, 7, {}, [], [{ name: 'a.gguf' }]])
      await assert.rejects(loadModel(source as never), UsageError, JSON.stringify(source));
  });

  it('takes file: URLs as objects and as text, and treats undefined options as absent', async () => {
    const url = pathToFileURL(FILE);
    for (const source of [url, url.href]) {
      const model = await loadModel(source, { threads: 1, wideSimd: undefined, onProgress: undefined });
      assert.equal(model.vocabularySize > 0, true);
      await model.close();
    }
    await assert.rejects(loadModel('file://elsewhere/model.gguf'), UsageError);
  });

  it('leaves 256-bit SIMD off when told to', async () => {
    const model = await loadModel(FILE, { threads: 1, wideSimd: false });
    const session = model.createSession();
    assert.ok((await session.prefill([1, 2, 3])).every(Number.isFinite));
    assert.doesNotMatch(model.describe().backend, /256/);
    await model.close();
  });

  it('reports threads and weights, each from its start to its end', async () => {
    const events: LoadProgress[] = [];
    const model = await loadModel(FILE, { threads: 2, onProgress: (event) => events.push(event) });
    await model.close();
    const of = (phase: LoadProgress['phase']) => events.filter((event) => event.phase === phase);
    assert.deepEqual(
      of('start').map(({ loaded, total }) => [loaded, total]),
      [
        [0, 2],
        [1, 2],
        [2, 2],
      ],
    );
    const last = of('load').at(-1)!;
    assert.equal(last.loaded, last.total);
    assert.deepEqual([...new Set(events.map(({ phase }) => phase))], ['start', 'load']);
  });

  it('notes an option quantize that a quantised file leaves without effect, once', async () => {
    const cases = [
      ['llama-tiny', 'q8_0', ['quantize q4_0 changes nothing: the model is already quantised (Q8_0)']],
      // Its narrow matrices are F16.
      ['jamba-moe', 'q8_0', ['quantize q4_0 leaves 22 of 58 matrices as they are: already quantised (Q8_0)']],
      ['llama-tiny', 'f16', []],
    ] as const;
    for (const [name, type, expected] of cases) {
      const notes: string[] = [];
      const model = await loadModel(ggufFile(name, type), {
        threads: 1,
        quantize: 'q4_0',
        onProgress: ({ note }) => void (note !== null && notes.push(note)),
      });
      await model.close();
      assert.deepEqual(notes, expected, `${name} ${type}`);
    }
  });

  it('says why an address cannot be fetched, with a code and the cause', async () => {
    const server = createServer((_, response) => response.writeHead(404).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/m.gguf`;
    const failure = async (): Promise<MarimbaError> => {
      const error: unknown = await loadModel(url).catch((error: unknown) => error);
      assert.ok(error instanceof HubError, String(error));
      return error;
    };
    assert.equal((await failure()).code, 'not-found');
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
    const away = await failure();
    assert.equal(away.code, 'unreachable');
    assert.match(away.message, /cannot be fetched \(ECONNREFUSED\)/);
    assert.ok(away.cause instanceof TypeError);
  });
});
