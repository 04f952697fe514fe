// One set of promises for every store, over small stand-ins of the browser's interfaces.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheStore, fileSystemStore, memoryStore, type PieceStore } from './store.browser.ts';

class FakeDirectory {
  readonly entries = new Map<string, FakeDirectory | FakeFile>();

  async getDirectoryHandle(name: string, { create = false } = {}): Promise<FakeDirectory> {
    const found = this.entries.get(name) ?? (create ? new FakeDirectory() : null);
    if (found === null) throw new DOMException(name, 'NotFoundError');
    if (!(found instanceof FakeDirectory)) throw new DOMException(name, 'TypeMismatchError');
    this.entries.set(name, found);
    return found;
  }

  async getFileHandle(name: string, { create = false } = {}): Promise<FakeFile> {
    const found = this.entries.get(name) ?? (create ? new FakeFile() : null);
    if (found === null) throw new DOMException(name, 'NotFoundError');
    if (!(found instanceof FakeFile)) throw new DOMException(name, 'TypeMismatchError');
    this.entries.set(name, found);
    return found;
  }

  async removeEntry(name: string): Promise<void> {
    if (!this.entries.delete(name)) throw new DOMException(name, 'NotFoundError');
  }
}

class FakeFile {
  content = new Blob();

  async getFile(): Promise<Blob> {
    return this.content;
  }

  async createWritable() {
    let written = new Blob();
    return {
      write: async (part: Blob) => {
        written = new Blob([written, part]);
      },
      close: async () => {
        this.content = written;
      },
      abort: async () => undefined,
    };
  }
}

function fakeCache(): Cache {
  const origin = 'http://page.test';
  const held = new Map<string, Response>();
  const cache = {
    match: async (address: string) => held.get(origin + address)?.clone(),
    put: async (address: string, response: Response) => void held.set(origin + address, response),
    keys: async () => [...held.keys()].map((url) => new Request(url)),
    delete: async (request: Request) => held.delete(request.url),
  };
  return cache as unknown as Cache;
}

const stores: Record<string, () => PieceStore> = {
  memory: memoryStore,
  'file system': () => fileSystemStore(new FakeDirectory() as unknown as FileSystemDirectoryHandle),
  cache: () => cacheStore(fakeCache()),
};

for (const [name, open] of Object.entries(stores)) {
  test(`${name}: gives back what was put, replaces it, removes below a key only`, async () => {
    const store = open();
    const text = async (key: string) => (await store.get(key))?.text() ?? null;
    assert.equal(await text('models/o/n/refs/refs%2Fpr%2F1'), null);
    await store.put('models/o/n/refs/refs%2Fpr%2F1', new Blob(['commit']));
    await store.put('models/o/n/a file.gguf/0', new Blob(['one']));
    await store.put('models/o/n/a file.gguf/0', new Blob(['two']));
    await store.put('models/o/n2/b/0', new Blob(['other']));
    assert.equal(await text('models/o/n/refs/refs%2Fpr%2F1'), 'commit');
    assert.equal(await text('models/o/n/a file.gguf/0'), 'two');
    assert.equal(await text('models/o/n/a file.gguf'), null);
    await store.removeAll('models/o/n');
    await store.removeAll('models/o/n');
    assert.equal(await text('models/o/n/a file.gguf/0'), null);
    assert.equal(await text('models/o/n2/b/0'), 'other');
  });
}
