// Register tiles of byte dots (bytes-tiles.ts): rows of codes, broadcast in words of four, times both planes of a block
// of 20, 8 or 4 queries (or of their weights).
import { declare, each, load, numbered, splat, stores } from '../build/vocabulary.ts';

const ROWS = [...'pqrstuvw'];

/** The sums of `count` rows, each row's beginning with a value of its own. */
const begin = (
  count: number,
  vectors: number,
  value: (r: number) => string,
  rows = count === 2 ? ['p', 'r'] : ROWS,
): string => each(count, (r) => declare('let', numbered(rows[r]!, vectors), (v) => (v ? `${rows[r]}0` : value(r))));

const sums = (row: string, x: string, vectors: readonly string[]): string =>
  vectors.map((w, v) => `${row}${v} = byteDot(${x}, ${w}, ${row}${v});`).join(' ');

/** Rows of codes times a block: [row][vectors]. */
const dots = (
  name: string,
  rows: number,
  vectors: readonly string[],
  addresses: readonly string[],
  walk: string,
): string => `
@inline function ${name}(a: usize, row: usize, aStep: usize, b: usize, steps: i32, starts: usize, room: usize): void {
  ${begin(rows, vectors.length, (r) => splat('starts', 4 * r))}
  ${walk} {
    ${declare('const', vectors, (v) => load('b', 16 * v))}
    ${each(rows, (r) => `${r ? '' : 'let '}x = ${splat(addresses[r]!)}; ${sums(ROWS[r]!, 'x', vectors)}`)}
  }
  ${each(rows, (r) => stores('room', numbered(ROWS[r]!, vectors.length), 16 * vectors.length * r))}
}`;

/** Four rows of codes times a block of 8. */
const dots8 = dots(
  'dots8',
  4,
  ['f', 'g', 'h', 'i'],
  ['a', 'c', 'd', 'e'],
  `
  let c = a + row, d = c + row, e = d + row;
  for (const end = b + <usize>(steps << 6); b < end; b += 64, a += aStep, c += aStep, d += aStep, e += aStep)`,
);

/** Eight rows of codes times a block of 4. */
const dots4 = dots(
  'dots4',
  8,
  ['h', 'l'],
  ['a', 'a + row', 'a + row2', 'a + row3', 'c', 'c + row', 'c + row2', 'c + row3'],
  `const row2 = row + row, row3 = row2 + row;
  let c = a + (row << 2);
  for (const end = b + <usize>(steps << 5); b < end; b += 32, a += aStep, c += aStep)`,
);

/** Two rows of codes times a block of 20. */
const steps20 = `
    let c = a + row;
    for (const end = b + <usize>(steps * 160); b < end; b += 160, a += aStep, c += aStep) {
      const x = v128.load32_splat(a), y = v128.load32_splat(c);
      ${each(5, (i) => {
        const [w, v] = [load('b', 32 * i), load('b', 32 * i + 16)];
        const pair = i ? `w = ${w}; v = ${v};` : `let w = ${w}, v = ${v};`;
        const row = (sum: string, x: string) => {
          const [first, second] = [`${sum}${2 * i}`, `${sum}${2 * i + 1}`];
          return `${first} = byteDot(${x}, w, ${first}); ${second} = byteDot(${x}, v, ${second});`;
        };
        return `${pair} ${row('p', 'x')} ${row('r', 'y')}`;
      })}
    }`;

export default `
${dots8}

${dots4}

/** 256 times one plane's sum plus the other's. */
@inline function joined(high: v128, low: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.add(i32x4.shl(high, 8), low));
}

@inline function putEight(room: usize, factors: usize, scale: v128, to: usize): void {
  const a = f32x4.mul(f32x4.mul(joined(v128.load(room), v128.load(room, 32)), v128.load(factors)), scale);
  const b = f32x4.mul(f32x4.mul(joined(v128.load(room, 16), v128.load(room, 48)), v128.load(factors, 16)), scale);
  v128.store(to, a);
  v128.store(to, b, 16);
}

@inline function putFour(room: usize, factors: usize, scale: v128, to: usize): void {
  v128.store(to, f32x4.mul(f32x4.mul(joined(v128.load(room), v128.load(room, 16)), v128.load(factors)), scale));
}

@inline function addEight(room: usize, factors: usize, to: usize): void {
  const a = madd(joined(v128.load(room), v128.load(room, 32)), v128.load(factors), v128.load(to));
  const b = madd(joined(v128.load(room, 16), v128.load(room, 48)), v128.load(factors, 16), v128.load(to, 16));
  v128.store(to, a);
  v128.store(to, b, 16);
}

@inline function addFour(room: usize, factors: usize, to: usize): void {
  v128.store(to, madd(joined(v128.load(room), v128.load(room, 16)), v128.load(factors), v128.load(to)));
}

/** Scores of a block with positions [first, end), which are rounded to multiples of the tile. */
export function score20(item: Item, q: i32, plane: usize, slot: usize, first: i32, end: i32): void {
  const headSize = <usize>item.headSize, steps = (item.headSize + 3) >> 2, starts = item.starts, room = item.room;
  const scales = scalesOf(plane, item.headSize), factors = item.factors + (<usize>q << 2);
  const queries = item.queries + <usize>q * <usize>(steps << 3), scores = item.scores + (<usize>q << 9);
  const wide = scores + (slot << 5), narrow = scores + 8192 + (slot << 4);
  for (let p = first & ~1; p < end; p += 2) {
    const at = <usize>p;
    let a = plane + at * headSize, b = queries;
    const row = headSize;
    const aStep: usize = 4;
    ${begin(2, 10, (r) => splat('starts + (at << 2)', 4 * r))}
    ${steps20}
    v128.store(room, p8); v128.store(room, p9, 16);
    v128.store(room, r8, 32); v128.store(room, r9, 48);
    const s = v128.load32_splat(scales + (at << 2)), t = v128.load32_splat(scales + (at << 2), 4);
    const f0 = v128.load(factors), f1 = v128.load(factors, 16),
      f2 = v128.load(factors, 32), f3 = v128.load(factors, 48);
    put(wide + (at << 5), joined(p0, p2), joined(p1, p3), f0, f1, s);
    put(wide + 32 + (at << 5), joined(r0, r2), joined(r1, r3), f0, f1, t);
    put(wide + 4096 + (at << 5), joined(p4, p6), joined(p5, p7), f2, f3, s);
    put(wide + 4128 + (at << 5), joined(r4, r6), joined(r5, r7), f2, f3, t);
    putFour(room, factors + 64, s, narrow + (at << 4));
    putFour(room + 32, factors + 64, t, narrow + 16 + (at << 4));
  }
}

@inline function put(to: usize, a: v128, b: v128, f0: v128, f1: v128, scale: v128): void {
  a = f32x4.mul(f32x4.mul(a, f0), scale);
  b = f32x4.mul(f32x4.mul(b, f1), scale);
  v128.store(to, a);
  v128.store(to, b, 16);
}

export function score8(item: Item, q: i32, plane: usize, slot: usize, first: i32, end: i32): void {
  const headSize = <usize>item.headSize, steps = (item.headSize + 3) >> 2, starts = item.starts, room = item.room;
  const scales = scalesOf(plane, item.headSize), factors = item.factors + (<usize>q << 2);
  const b = item.queries + <usize>q * <usize>(steps << 3), scores = item.scores + (<usize>q << 9) + (slot << 5);
  for (let p = first & ~3; p < end; p += 4) {
    const at = <usize>p;
    dots8(plane + at * headSize, headSize, 4, b, steps, starts + (at << 2), room);
    for (let i: usize = 0; i < 4; i++)
      putEight(room + (i << 6), factors, v128.load32_splat(scales + ((at + i) << 2)), scores + ((at + i) << 5));
  }
}

export function score4(item: Item, q: i32, plane: usize, slot: usize, first: i32, end: i32): void {
  const headSize = <usize>item.headSize, steps = (item.headSize + 3) >> 2, starts = item.starts, room = item.room;
  const scales = scalesOf(plane, item.headSize), factors = item.factors + (<usize>q << 2);
  const b = item.queries + <usize>q * <usize>(steps << 3), scores = item.scores + (<usize>q << 9) + (slot << 4);
  for (let p = first & ~7; p < end; p += 8) {
    const at = <usize>p;
    dots4(plane + at * headSize, headSize, 4, b, steps, starts + (at << 2), room);
    for (let i: usize = 0; i < 8; i++)
      putFour(room + (i << 5), factors, v128.load32_splat(scales + ((at + i) << 2)), scores + ((at + i) << 4));
  }
}

/**
 * sums[panel][column][query] += weights times \`steps\` groups of four positions of all \`columns\`; \`zeros\` are
 * 8 zeros.
 */
export function add20(
  values: usize, columns: usize, steps: i32, weights: usize, zeros: usize, factors: usize, sums: usize, room: usize,
): void {
  const aStep = columns << 2;
  const row: usize = 4;
  const second = sums + (columns << 5), third = second + (columns << 5);
  for (let column: usize = 0; column < columns; column += 2) {
    let a = values + (column << 2), b = weights;
    ${begin(2, 10, () => splat('zeros'))}
    ${steps20}
    v128.store(room, p8); v128.store(room, p9, 16);
    v128.store(room, r8, 32); v128.store(room, r9, 48);
    const f0 = v128.load(factors), f1 = v128.load(factors, 16),
      f2 = v128.load(factors, 32), f3 = v128.load(factors, 48);
    add(sums + (column << 5), joined(p0, p2), joined(p1, p3), f0, f1);
    add(sums + 32 + (column << 5), joined(r0, r2), joined(r1, r3), f0, f1);
    add(second + (column << 5), joined(p4, p6), joined(p5, p7), f2, f3);
    add(second + 32 + (column << 5), joined(r4, r6), joined(r5, r7), f2, f3);
    addFour(room, factors + 64, third + (column << 4));
    addFour(room + 32, factors + 64, third + 16 + (column << 4));
  }
}

@inline function add(to: usize, a: v128, b: v128, f0: v128, f1: v128): void {
  a = madd(a, f0, v128.load(to));
  b = madd(b, f1, v128.load(to, 16));
  v128.store(to, a);
  v128.store(to, b, 16);
}

export function add8(
  values: usize, columns: usize, steps: i32, b: usize, zeros: usize, factors: usize, sums: usize, room: usize,
): void {
  for (let column: usize = 0; column < columns; column += 4) {
    dots8(values + (column << 2), 4, columns << 2, b, steps, zeros, room);
    for (let i: usize = 0; i < 4; i++) addEight(room + (i << 6), factors, sums + ((column + i) << 5));
  }
}

export function add4(
  values: usize, columns: usize, steps: i32, b: usize, zeros: usize, factors: usize, sums: usize, room: usize,
): void {
  for (let column: usize = 0; column < columns; column += 8) {
    dots4(values + (column << 2), 4, columns << 2, b, steps, zeros, room);
    for (let i: usize = 0; i < 8; i++) addFour(room + (i << 5), factors, sums + ((column + i) << 4));
  }
}
`;
