// Fetches the next tile of weights while this one's panel is multiplied several times from the cache, when memory
// would stand idle. WebAssembly has no prefetch, so the inner loops load a word of each line and keep what they
// loaded. Kernels that read the tile itself leave it to the processor, whose prefetchers would lose the stream
// (packed-decode.gen.ts).

/** The first line not yet asked for, and the end of the next tile. */
let next: usize = 0;
let end: usize = 0;
/** What was loaded, so that the loads are not taken for useless. */
// biome-ignore lint/correctness/noUnusedVariables: written, so that the loads stay
let kept: i32 = 0;

/** The next tile lies at `tile`; no bytes where there is none. */
// @inline
export function fetchNext(tile: usize, bytes: usize): void {
  next = tile;
  end = tile + bytes;
}

/** Asks for two lines. Called once a block of 32 columns, which takes longer than fetching them. */
// @inline
export function fetchAhead(): void {
  const line = next;
  if (line < end) {
    kept ^= load<i32>(line) ^ load<i32>(line + 64);
    next = line + 128;
  }
}
