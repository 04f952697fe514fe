// What differs between Node and browsers, Node's half. The browser's half has the same exports.
import { readFile } from 'node:fs/promises';

/** A file that ships with this package. */
export async function readAsset(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await readFile(url));
}
