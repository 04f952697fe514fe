// Where a browser keeps pieces of models: the Origin Private File System, the Cache API where that cannot be
// written from here, or memory. A piece is written once and never changed, so an interrupted download loses
// one piece at most. Blobs that come back are read from disk when they are read, not before.

/** Keys are `/`-separated names that have been checked (names.ts). */
export interface PieceStore {
  get(key: string): Promise<Blob | null>;
  put(key: string, content: Blob): Promise<void>;
  /** Removes everything below a key. */
  removeAll(prefix: string): Promise<void>;
}

/** The best that this page or worker has. */
export async function openStore(): Promise<PieceStore> {
  const storage = globalThis.navigator?.storage;
  if (typeof storage?.getDirectory === 'function' && canWriteFiles()) {
    // Refused in some private windows.
    const root = await storage.getDirectory().catch(() => null);
    if (root !== null) return fileSystemStore(root);
  }
  const cache = await globalThis.caches?.open('marimba-models').catch(() => null);
  return cache ? cacheStore(cache) : memoryStore();
}

function canWriteFiles(): boolean {
  return typeof FileSystemFileHandle === 'function' && 'createWritable' in FileSystemFileHandle.prototype;
}

export function fileSystemStore(root: FileSystemDirectoryHandle): PieceStore {
  const folderOf = async (parts: readonly string[], create: boolean) => {
    let folder = root;
    for (const part of parts) folder = await folder.getDirectoryHandle(part, { create });
    return folder;
  };
  return {
    async get(key) {
      const parts = key.split('/');
      try {
        const folder = await folderOf(parts.slice(0, -1), false);
        return await (await folder.getFileHandle(parts.at(-1) ?? '')).getFile();
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },
    async put(key, content) {
      const parts = key.split('/');
      const folder = await folderOf(parts.slice(0, -1), true);
      const file = await folder.getFileHandle(parts.at(-1) ?? '', { create: true });
      // Writes go to a copy that takes the file's place on close: a closed tab leaves nothing half.
      const writable = await file.createWritable();
      try {
        await writable.write(content);
      } catch (error) {
        await writable.abort().catch(() => undefined);
        throw error;
      }
      await writable.close();
    },
    async removeAll(prefix) {
      const parts = prefix.split('/');
      try {
        const folder = await folderOf(parts.slice(0, -1), false);
        await folder.removeEntry(parts.at(-1) ?? '', { recursive: true });
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    },
  };
}

export function cacheStore(cache: Cache): PieceStore {
  const address = (key: string) => `/marimba/${key.split('/').map(encodeURIComponent).join('/')}`;
  return {
    async get(key) {
      return (await (await cache.match(address(key)))?.blob()) ?? null;
    },
    async put(key, content) {
      await cache.put(address(key), new Response(content));
    },
    async removeAll(prefix) {
      for (const request of await cache.keys()) {
        const { pathname } = new URL(request.url);
        if (pathname === address(prefix) || pathname.startsWith(`${address(prefix)}/`))
          await cache.delete(request);
      }
    },
  };
}

/** Lives as long as the page does. */
export function memoryStore(): PieceStore {
  const pieces = new Map<string, Blob>();
  return {
    async get(key) {
      return pieces.get(key) ?? null;
    },
    async put(key, content) {
      pieces.set(key, content);
    },
    async removeAll(prefix) {
      for (const key of [...pieces.keys()])
        if (key === prefix || key.startsWith(`${prefix}/`)) pieces.delete(key);
    },
  };
}

function isMissing(error: unknown): boolean {
  return (
    error instanceof DOMException && (error.name === 'NotFoundError' || error.name === 'TypeMismatchError')
  );
}
