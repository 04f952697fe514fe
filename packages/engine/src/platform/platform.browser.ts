// What differs between Node and browsers, the browser's half. Node's half has the same exports.

/** A file that ships with this package. */
export async function readAsset(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: expected the kernels of this package, the server answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
