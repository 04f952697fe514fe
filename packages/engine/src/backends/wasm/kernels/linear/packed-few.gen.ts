// Five to sixteen rows of activations times four tiles of 16 rows at once, the tiles being a quarter of a thread's
// range of weights from each other: four streams for the processor to follow, each by load instructions of its own, as
// in packed-decode-four.gen.ts, and activations come from the first-level cache for three of the four. From memory,
// compared with tile after tile (packed-direct.gen.ts): 8 rows of Q4_0 1.2 x, of Q4_K 1.14 to 1.19 x; 6 rows 1.13 and
// 1.24 x; 16 rows 1.1 x.
//
// Eight rows go four and four, block by block of 32 columns, so that memory is never idle; other numbers two blocks at
// a time: the first eight or four rows by the functions that fetch the weights, then up to four at a time by functions
// of their own, as the first ones' prefetches would stop where they went back. Sums as in packed-tile.gen.ts, bit for
// bit.
import { each, type Family, functions } from '../build/vocabulary.ts';

const STREAMS = ['w', 'v', 'u', 't'];
/** Addresses of the sums of four rows and four tiles, and of the second halves of these. */
const sumsOf = (letters: string): string[] => [...letters].flatMap((letter) => [letter, `${letter}1`]);
const FIRST = sumsOf('abcd');
const SECOND = sumsOf('efgh');
const parameters = (names: readonly string[]): string => names.map((name) => `${name}: usize`).join(', ');

const HALVES = each(4, (i) => `${FIRST[2 * i]}, ${FIRST[2 * i + 1]}`, ';').split(';');
const SCALES = ['s', 'r', 'q', 'p'];

/** A block of the tiles at w, v, u and t, whose scales are at s, r, q and p, times K rows of activations. */
const fourBlocks = `
@inline function fourBlocks(
  type: i32, K: i32, ${parameters([...STREAMS, 'x', ...SCALES, ...FIRST])},
): void {
  ${each(4, (i) => {
    const place = `(K, false, ${STREAMS[i]}, x, ${SCALES[i]}, ${HALVES[i]});`;
    return `if (type == Q4_0) blockQ4_0${place} else blockQ4_K${place}`;
  })}
}`;
const callFour = (K: string | number, x: string, sums: readonly string[]): string =>
  `fourBlocks(type, ${K}, ${STREAMS.join(', ')}, ${x}, s + at, r + at, q + at, p + at, ${sums.join(', ')});`;

const advance = STREAMS.map((stream) => `${stream} += blockBytes(type);`).join(' ');
const starts = `
  const r = s + set, q = r + set, p = q + set;
  let v = w + step, u = v + step, t = u + step, at: usize = 0;`;

/**
 * `n` blocks times 8 rows; the second four's codes are at `next`. Addresses of vectors are arguments or come from ones
 * (`set`, the bytes of a tile's scales), so that nothing is folded into offsets, which would keep V8 from merging
 * pairs.
 */
const eightRows = `
@inline function eightRows(
  type: i32, n: i32, w: usize, step: usize, x: usize, next: usize, s: usize, set: usize, ${parameters([
    ...FIRST,
    ...SECOND,
  ])},
): void {
  ${starts}
  for (; n > 0; n--) {
    ${callFour(4, 'x', FIRST)}
    ${callFour(4, 'next', SECOND)}
    ${advance}
    x += 4 * BLOCK_CODES;
    next += 4 * BLOCK_CODES;
    at += 128;
  }
}`;

/** `n` blocks times K rows. `half` and `tile` are the bytes of the sums of half a tile and of a tile. */
const fewRows = `
@inline function fewRows(
  type: i32, K: i32, fetches: bool, n: i32, w: usize, step: usize, x: usize, s: usize, set: usize, a: usize,
  half: usize, tile: usize,
): void {
  const b = a + tile, c = b + tile, d = c + tile;
  const a1 = a + half, b1 = b + half, c1 = c + half, d1 = d + half;
  ${starts}
  // Two ways to say it, or Binaryen would make one function of the one that fetches and the other of four rows.
  for (; fetches ? n > 0 : n != 0; n--) {
    ${callFour('K', 'x', FIRST)}
    ${advance}
    x += <usize>K * BLOCK_CODES;
    at += 128;
  }
}`;

/** Rows, and whether weights are fetched. */
const fewest = (suffix: string): string => (suffix === 'First' ? '4, true' : `${suffix[1]}, false`);

/** Of a type: whether its scales are unpacked first, into s and on from there by z. */
const members = (type: string, scales: string): string => {
  const name = `q${type.slice(1)}`;
  const unpacked = scales ? ['s', 'z'] : [];
  const place = scales || '0, 0';
  const eight = ['w', 'step', 'x', 'y', ...unpacked, ...FIRST, ...SECOND];
  const few: Family = {
    parameters: `n: i32, ${parameters(['w', 'step', 'x', ...unpacked, 'a', 'h', 't'])}`,
    members: ['First', 'x1', 'x2', 'x3', 'x4'].map((suffix) => ({
      name: name + suffix,
      body: `fewRows(${type}, ${fewest(suffix)}, n, w, step, x, ${place}, a, h, t)`,
    })),
  };
  return `
function ${name}Eight(n: i32, ${parameters(eight)}): void {
  eightRows(${type}, n, w, step, x, y, ${place}, ${[...FIRST, ...SECOND].join(', ')});
}
${functions(few)}`;
};

const TYPES = [
  { type: 'Q4_0', name: 'q4_0', scales: '' },
  { type: 'Q4_K', name: 'q4_K', scales: 's, set, ' },
];
const halves = [...'abcdefgh']
  .map((p) => (p === 'a' ? 'sums' : p))
  .map((p) => `${p}, ${p} + half`)
  .join(', ');

export default `

/** Blocks of 32 columns before the next rows' turn (with 1, 4 or 8 mostly 0.94 to 0.99 x). */
@inline const TURN: i32 = 2;
/** Bytes of the sums of four tiles and four rows: [tile][half of the tile][row][8]. */
@inline export const FOUR_SUMS: usize = 4 * WIDE_SUMS_BYTES;

/** Bytes of sums and unpacked scales. */
@inline export const FEW_SCRATCH: usize = <usize>(FEW_ROWS / TILE_ROWS) * FOUR_SUMS + 4 * SCALE_ROOM;

@inline function blockBytes(type: i32): usize {
  return type == Q4_0 ? Q4_0_BLOCK : Q4_K_BLOCK;
}
${fourBlocks}
${eightRows}
${fewRows}
${members('Q4_0', '')}
${members('Q4_K', 's, z')}

/** n blocks times the first 4 or 8 rows, whose codes are at x and next. */
function multiplyFirst(
  type: i32, rows: i32, n: i32, w: usize, step: usize, x: usize, next: usize, s: usize, set: usize, sums: usize,
  half: usize, tile: usize,
): void {
  if (rows != 8) {
    if (type == Q4_0) q4_0First(n, w, step, x, sums, half, tile);
    else q4_KFirst(n, w, step, x, s, set, sums, half, tile);
    return;
  }
  const b = sums + tile, c = b + tile, d = c + tile, e = d + tile, f = e + tile, g = f + tile, h = g + tile;
  if (type == Q4_0) {
    q4_0Eight(n, w, step, x, next, ${halves});
  } else {
    q4_KEight(n, w, step, x, next, s, set, ${halves});
  }
}

/** n blocks times K more rows. */
function multiplyMore(
  type: i32, K: i32, n: i32, w: usize, step: usize, x: usize, s: usize, set: usize, sums: usize, half: usize,
  tile: usize,
): void {
  switch (K + (type == Q4_0 ? 0 : 4)) {
${TYPES.map(({ name, scales }, i) =>
  each(4, (r) => `    case ${4 * i + r + 1}: ${name}x${r + 1}(n, w, step, x, ${scales}sums, half, tile); break;`),
).join('\n')}
  }
}

function spreadFour(w: usize, step: usize, room: usize): void {
  for (const end = room + 4 * SCALE_ROOM; room < end; room += SCALE_ROOM) {
    spreadScales(w, room, 0);
    w += step;
  }
}

/**
 * The tiles at w, w + step, … times rows rows. Sums of rows 4r… are FOUR_SUMS * r from sums; scales are unpacked
 * behind those of 16 rows (FEW_SCRATCH bytes in all).
 */
export function multiplyFour(type: i32, rows: i32, w: usize, step: usize, x: usize, columns: i32, sums: usize): void {
  const half = WIDE_SUMS_BYTES / 2, tile = WIDE_SUMS_BYTES;
  const scales = sums + <usize>(FEW_ROWS / TILE_ROWS) * FOUR_SUMS, perRow = rowCodes(columns);
  for (let p = sums; p < scales; p += WIDE_SUMS_BYTES) clear(p);
  const first = rows < 8 ? 4 : 8;
  const turn = rows > first ? TURN : type == Q4_0 ? columns >> 5 : 8;
  let s = scales;
  for (let block = 0; block < columns >> 5; ) {
    if (type == Q4_K && (block & 7) == 0) {
      spreadFour(w, step, scales);
      w += 256;
      s = scales;
    }
    const n = min(turn, (columns >> 5) - block);
    const at = <usize>block * BLOCK_CODES;
    multiplyFirst(type, first, n, w, step, x + 4 * at, x + 4 * (perRow + at), s, SCALE_ROOM, sums, half, tile);
    for (let row = first; row < rows; row += TILE_ROWS) {
      const K = tileWidth(row, rows);
      const codes = x + <usize>row * perRow + <usize>K * at;
      multiplyMore(type, K, n, w, step, codes, s, SCALE_ROOM, sums + <usize>(row / TILE_ROWS) * FOUR_SUMS, half, tile);
    }
    w += <usize>n * blockBytes(type);
    s += <usize>n * 128;
    block += n;
  }
}
`;
