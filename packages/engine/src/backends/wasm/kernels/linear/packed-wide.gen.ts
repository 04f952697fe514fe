// 16 rows of weights times 4 rows of activations, for processors whose byte dot is one instruction. It has a latency
// of four cycles and two start in each, so eight accumulators of 256 bits must be under way; the 8 x 4 tile of
// packed-tile.gen.ts has four (1.2 x slower at 256 rows, and 1.45 x at 8 rows, with a panel to make). Float sums stay
// in memory between blocks: registers are full. Emulated dots need registers of their own and would spill, so only the
// build for those instructions comes here, and only where V8 merges pairs of vectors.
//
// Weights come from a panel; packed-direct.gen.ts has the same tile for a few rows of activations. The order of sums is
// that of packed-tile.gen.ts, bit for bit.
import {
  begin,
  cases,
  declare,
  type Family,
  functions,
  join,
  load,
  numbered,
  ofTile,
  rows,
  splat,
  TILE,
} from '../build/vocabulary.ts';

const PARAMETERS = TILE.replace(/\w+/g, '$&: v128');
/**
 * Adds a block's integers (as f32) of 16 rows of weights and K rows of activations to the float sums. `scales` is
 * where the activations' scales are, `minima` what their minimum is multiplied by.
 */
const addTile = `
@inline export function addTile(
  K: i32, minimum: bool, sums: usize, more: usize, scales: usize, minima: usize, ${PARAMETERS},
  s0: v128, s1: v128, t0: v128, t1: v128, m0: v128, m1: v128, n0: v128, n1: v128,
): void {
  ${rows(1, (r) => {
    const add = (sums: string, a: string, b: string, s: string, m: string) =>
      `addRow(${sums}, ${r}, ${a}${r}, ${b}${r}, e${r}, ${s}0, ${s}1, minimum, g${r}, ${m}0, ${m}1);`;
    return `const e${r} = ${splat('scales', 4 * r)}, g${r} = minimum ? ${splat('minima', 4 * r)} : e${r};
    ${add('sums', 'a', 'b', 's', 'm')} ${add('more', 'c', 'd', 't', 'n')}`;
  })}
}`;

/** Blocks of two passes: what the first one has, times a factor for each row of weights, until the second is done. */
const keepRows = `
@inline export function keepRows(
  K: i32, between: usize, beyond: usize, ${PARAMETERS}, f0: v128, f1: v128, g0: v128, g1: v128,
): void {
  ${rows(2, (r) => {
    const keep = (to: string, a: string, b: string, f: string) =>
      `storeSums(${to}, ${r}, f32x4.mul(${a}${r}, ${f}0), f32x4.mul(${b}${r}, ${f}1));`;
    return `${keep('between', 'a', 'b', 'f')} ${keep('beyond', 'c', 'd', 'g')}`;
  })}
}`;

/**
 * A block of a panel, w and v in its halves, times 4 rows of activations; of HALVES 16 columns, the first of which are
 * kept in `between` (and `beyond` for v). High nibbles come before low ones, into the same accumulators.
 */
const panelBlock = `
@inline function panelBlock(
  kind: i32, first: bool, w: usize, v: usize, x: usize, start: usize, sums: usize, more: usize, between: usize,
  beyond: usize,
): void {
  const zero = i32x4.splat(0);
  const minimum = kind == MINIMUM || kind == MINIMUM_16, halves = kind == HALVES || kind == HALVES_MINIMUM;
  ${begin(4, 4, 'kind == MINIMUM || kind == HALVES_MINIMUM')}
  let shift = 4;
  if (kind == TWO_NIBBLES) {
    w += 256;
    v += 256;
  }
  for (;;) {
    const stop = w + (halves ? 128 : 256);
    do {
      const w0 = v128.load(w), w1 = v128.load(w, 16), v0 = v128.load(v), v1 = v128.load(v, 16);
      ${declare('const', numbered('x', 4), (r) => splat('x', 4 * r))}
      ${ofTile(4, (a, v, r) => `${a} = dot(${a}, x${r}, ${['w0', 'w1', 'v0', 'v1'][v]});`)}
      w += 32;
      v += 32;
      x += 16;
    } while (w < stop);
    if (kind != TWO_NIBBLES || shift == 0) break;
    ${ofTile(4, (a) => `${a} = i32x4.shl(${a}, shift);`)}
    shift = 0;
    w -= 512;
    v -= 512;
    x -= 128;
  }
  ${ofTile(4, (a) => `${a} = f32x4.convert_i32x4_s(${a});`)}
  if (halves) {
    const f0 = v128.load(w), f1 = v128.load(w, 16), g0 = v128.load(v), g1 = v128.load(v, 16);
    if (first) {
      keepRows(4, between, beyond, ${TILE}, f0, f1, g0, g1);
      return;
    }
    ${ofTile(4, join)}
  }
  const nibbles = kind == TWO_NIBBLES;
  ${['s w', 't v']
    .map((names) => names.split(' ') as [string, string])
    .map(([s, p]) =>
      declare(
        'const',
        numbered(s, 2),
        (i) => `nibbles ? ${load(p, 256 + 16 * i)} : halves ? ${load(p, 32 + 16 * i)} : ${load(p, 16 * i)}`,
      ),
    )
    .join('\n  ')}
  const m0 = minimum ? v128.load(w, 32) : zero, m1 = minimum ? v128.load(w, 48) : zero;
  const n0 = minimum ? v128.load(v, 32) : zero, n1 = minimum ? v128.load(v, 48) : zero;
  addTile(4, minimum, sums, more, x, x + 16, ${TILE}, s0, s1, t0, t1, m0, m1, n0, n1);
  if (kind == HALVES_MINIMUM) {
    const sum = x + 4 * (HALF_SUMS - CODE_SCALE);
    ${[0, 1]
      .map((h) => {
        const vectors = ['w', 'v'].flatMap((p) => [0, 1].map((v) => load(p, 64 + 32 * h + 16 * v)));
        return `addHalfMinima(4, sums, more, sum + ${16 * h}, ${vectors.join(', ')});`;
      })
      .join(' ')}
  }
}`;

const family: Family = {
  parameters: 'w: usize, h: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize',
  members: Object.entries({
    offset8: 'OFFSET_8',
    offset16: 'OFFSET_16',
    minimum: 'MINIMUM',
    minimum16: 'MINIMUM_16',
    halves: 'HALVES',
    nibbles: 'TWO_NIBBLES',
    halvesMinimum: 'HALVES_MINIMUM',
  }).map(([name, kind]) => ({ name, body: `panel(${kind}, w, h, x, n, a, b, c, d)` })),
};

export default `

/** Bytes of the result: [half of the tile][row of activations][8 rows of weights]. */
export const WIDE_SUMS_BYTES: usize = 256;

@inline export function clear(sums: usize): void {
  const zero = i32x4.splat(0);
  for (let p = sums; p < sums + WIDE_SUMS_BYTES; p += 32) {
    v128.store(p, zero);
    v128.store(p, zero, 16);
  }
}

// Offsets are literal and both stores come last, or the 256-bit pass would not see pairs.
@inline function loadLow(p: usize, row: i32): v128 {
  return row == 0 ? v128.load(p) : row == 1 ? v128.load(p, 32) : row == 2 ? v128.load(p, 64) : v128.load(p, 96);
}
@inline function loadHigh(p: usize, row: i32): v128 {
  return row == 0 ? v128.load(p, 16) : row == 1 ? v128.load(p, 48) : row == 2 ? v128.load(p, 80) : v128.load(p, 112);
}

/** Adds a block of 8 rows of weights to one row's float sums: scaled, and with minimum d * m after that. */
@inline function addRow(
  sums: usize, row: i32, a: v128, b: v128, scale: v128, s0: v128, s1: v128, minimum: bool, d: v128, m0: v128, m1: v128,
): void {
  const p = loadLow(sums, row), q = loadHigh(sums, row);
  let y = madd(a, f32x4.mul(scale, s0), p);
  let z = madd(b, f32x4.mul(scale, s1), q);
  if (minimum) {
    y = madd(d, m0, y);
    z = madd(d, m1, z);
  }
  storeSums(sums, row, y, z);
}
${addTile}
/** Adds minima of 16 columns, times what is at \`sum\` for each row of activations. */
@inline export function addHalfMinima(
  K: i32, sums: usize, more: usize, sum: usize, m0: v128, m1: v128, n0: v128, n1: v128,
): void {
  ${rows(1, (r) => `addMinimum(sums, ${r}, ${splat('sum', 4 * r)}, m0, m1); addMinimum(more, ${r}, ${splat('sum', 4 * r)}, n0, n1);`)}
}
@inline function addMinimum(sums: usize, row: i32, d: v128, m0: v128, m1: v128): void {
  const y = madd(d, m0, loadLow(sums, row)), z = madd(d, m1, loadHigh(sums, row));
  storeSums(sums, row, y, z);
}
${keepRows}

/** a * factor + what was kept of a row. Integers below 2^24, so exact. */
@inline export function joinLow(a: v128, factor: v128, kept: usize, row: i32): v128 {
  return madd(a, factor, loadLow(kept, row));
}
@inline export function joinHigh(a: v128, factor: v128, kept: usize, row: i32): v128 {
  return madd(a, factor, loadHigh(kept, row));
}
${panelBlock}

/**
 * A panel times 4 rows of activations. w is the first half of the panel and half the distance to the second; more is
 * the second half of sums and beyond that of between: arguments, so that their addresses are not folded into offsets.
 */
@inline function panel(
  kind: i32, w: usize, half: usize, x: usize, blocks: i32, sums: usize, more: usize, between: usize, beyond: usize,
): void {
  clear(sums);
  let v = w + half;
  for (; blocks > 0; blocks--) {
    fetchAhead();
    const halves = kind == HALVES || kind == HALVES_MINIMUM;
    const start = x + 4 * (halves ? START_32 : kind == OFFSET_8 || kind == TWO_NIBBLES ? START_8 : START_16);
    if (halves) {
      panelBlock(kind, true, w, v, x, start, sums, more, between, beyond);
      panelBlock(kind, false, w + 160, v + 160, x + 64, start + 16, sums, more, between, beyond);
    } else {
      panelBlock(kind, false, w, v, x, start, sums, more, between, beyond);
    }
    w += panelBlockBytes(kind);
    v += panelBlockBytes(kind);
    x += 4 * BLOCK_CODES;
  }
}

${functions(family)}

/** A panel times 4 rows of activations; between is WIDE_SUMS_BYTES of room. */
export function multiplyPanelWide(
  kind: i32, w: usize, half: usize, x: usize, blocks: i32, sums: usize, between: usize,
): void {
  const more = sums + 128, beyond = between + 128;
  switch (kind) {
${cases(family, 'w, half, x, blocks, sums, more, between, beyond')}
  }
}
`;
