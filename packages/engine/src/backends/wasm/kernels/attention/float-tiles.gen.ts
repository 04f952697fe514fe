// Register tiles of f32 attention (float.ts): keys times queries with lanes = queries, so that keys are
// broadcast as they lie, and weights times values with lanes = columns, so that weights are broadcast as the
// softmax leaves them. Nothing is transposed.
//
// Queries come in blocks of 16, the rest in blocks of 4. Where V8 merges pairs of vectors (`wideTiles`), 16
// accumulators become the 8 of 256 bits that hide the latency of two multiply-adders; elsewhere tiles have
// half the queries or columns. Four queries would leave half of a merged vector empty: their lanes are
// columns of the keys, with one horizontal sum for each score.
import { declare, each, load, numbered, splat, stores } from '../build/vocabulary.ts';

const ROWS = [...'pqrs'];
/** The sums of four rows of 16 lanes (4 vectors), or of 8. */
const begin = (vectors: number): string =>
  declare(
    'let',
    ROWS.flatMap((row) => numbered(row, vectors)),
    (i) => (i ? 'p0' : 'f32x4.splat(0)'),
  );
/** Adds to each row's sums what is broadcast for it, times the vectors at `p`. */
const step = (vectors: number, p: string, broadcast: (r: number) => string): string => `
    ${declare('const', numbered('w', vectors), (v) => load(p, 16 * v))}
    ${each(4, (r) => {
      const products = numbered(ROWS[r]!, vectors).map((sum, v) => `${sum} = madd(x, w${v}, ${sum});`);
      return `${r ? '' : 'let '}x = ${broadcast(r)}; ${products.join(' ')}`;
    })}`;

const score = (name: string, vectors: number): string => `
function ${name}(a: usize, row: usize, b: usize, columns: i32, to: usize): void {
  ${begin(vectors)}
  let c = a + row, d = c + row, e = d + row;
  for (const end = b + (<usize>columns << 6); b < end; b += 64, a += 4, c += 4, d += 4, e += 4) {
    ${step(vectors, 'b', (r) => splat('acde'[r]!))}
  }
  ${each(4, (r) => stores('to', numbered(ROWS[r]!, vectors), 64 * r))}
}`;

const add = (name: string, vectors: number, finish: string): string => `
function ${name}(w: usize, weightStep: usize, at: usize, row: usize, steps: i32, to: usize, stride: usize): void {
  ${begin(vectors)}
  for (const end = w + <usize>steps * weightStep; w < end; w += weightStep, at += row) {
    ${step(vectors, 'at', (r) => splat('w', 4 * r))}
  }
  ${finish}
}`;
const finishWide = ROWS.map((row) => `addFour(to, ${numbered(row, 4).join(', ')});`).join(' to += stride; ');
const finishHalf = ROWS.map((row, r) => {
  const to = ['to', 'to + stride', 'to + 2 * stride', 'to + 3 * stride'][r];
  return `addTwo(${to}, ${row}0, ${row}1);`;
}).join(' ');

export default `
/** Scores of a block of 16 with four keys, \`row\` bytes apart: to[position][16]; queries are [column][16]. */
@inline export function scoreSixteen(keys: usize, row: usize, queries: usize, columns: i32, to: usize): void {
  if (wideTiles) scoreWide(keys, row, queries, columns, to);
  else {
    scoreHalf(keys, row, queries, columns, to);
    scoreHalf(keys, row, queries + 32, columns, to + 32);
  }
}
${score('scoreWide', 4)}

/** Eight queries of a block of 16. */
${score('scoreHalf', 2)}

/**
 * Scores of a block of 4 with two keys: to[position][4]; queries are [steps of 8 columns][4][8]. Room for 16
 * vectors.
 */
@inline export function scoreFour(keys: usize, row: usize, queries: usize, steps: i32, to: usize, room: usize): void {
  if (wideTiles) scoreFourWide(keys, row, queries, steps, to, room);
  else scoreFourNarrow(keys, row, queries, steps, to);
}

function scoreFourWide(a: usize, row: usize, b: usize, steps: i32, to: usize, room: usize): void {
  let p0 = f32x4.splat(0), p1 = p0, p2 = p0, p3 = p0, p4 = p0, p5 = p0, p6 = p0, p7 = p0;
  let q0 = p0, q1 = p0, q2 = p0, q3 = p0, q4 = p0, q5 = p0, q6 = p0, q7 = p0;
  let c = a + row;
  for (const end = b + (<usize>steps << 7); b < end; b += 128, a += 32, c += 32) {
    const x = v128.load(a), y = v128.load(a, 16), z = v128.load(c), o = v128.load(c, 16);
    let w = v128.load(b), v = v128.load(b, 16);
    p0 = madd(x, w, p0); p1 = madd(y, v, p1); q0 = madd(z, w, q0); q1 = madd(o, v, q1);
    w = v128.load(b, 32); v = v128.load(b, 48);
    p2 = madd(x, w, p2); p3 = madd(y, v, p3); q2 = madd(z, w, q2); q3 = madd(o, v, q3);
    w = v128.load(b, 64); v = v128.load(b, 80);
    p4 = madd(x, w, p4); p5 = madd(y, v, p5); q4 = madd(z, w, q4); q5 = madd(o, v, q5);
    w = v128.load(b, 96); v = v128.load(b, 112);
    p6 = madd(x, w, p6); p7 = madd(y, v, p7); q6 = madd(z, w, q6); q7 = madd(o, v, q7);
  }
  v128.store(room, p0); v128.store(room, p1, 16); v128.store(room, p2, 32); v128.store(room, p3, 48);
  v128.store(room, p4, 64); v128.store(room, p5, 80); v128.store(room, p6, 96); v128.store(room, p7, 112);
  v128.store(room, q0, 128); v128.store(room, q1, 144); v128.store(room, q2, 160); v128.store(room, q3, 176);
  v128.store(room, q4, 192); v128.store(room, q5, 208); v128.store(room, q6, 224); v128.store(room, q7, 240);
  v128.store(to, sumsOf(room));
  v128.store(to, sumsOf(room + 128), 16);
}

@inline function sumsOf(room: usize): v128 {
  return horizontalSums(
    f32x4.add(v128.load(room), v128.load(room, 16)), f32x4.add(v128.load(room, 32), v128.load(room, 48)),
    f32x4.add(v128.load(room, 64), v128.load(room, 80)), f32x4.add(v128.load(room, 96), v128.load(room, 112)),
  );
}

function scoreFourNarrow(a: usize, row: usize, b: usize, steps: i32, to: usize): void {
  let p0 = f32x4.splat(0), p1 = p0, p2 = p0, p3 = p0, q0 = p0, q1 = p0, q2 = p0, q3 = p0;
  let c = a + row;
  for (const end = b + (<usize>steps << 7); b < end; b += 128, a += 32, c += 32) {
    let x = v128.load(a), y = v128.load(c), w = v128.load(b);
    p0 = madd(x, w, p0); q0 = madd(y, w, q0);
    w = v128.load(b, 32);
    p1 = madd(x, w, p1); q1 = madd(y, w, q1);
    w = v128.load(b, 64);
    p2 = madd(x, w, p2); q2 = madd(y, w, q2);
    w = v128.load(b, 96);
    p3 = madd(x, w, p3); q3 = madd(y, w, q3);
    x = v128.load(a, 16); y = v128.load(c, 16); w = v128.load(b, 16);
    p0 = madd(x, w, p0); q0 = madd(y, w, q0);
    w = v128.load(b, 48);
    p1 = madd(x, w, p1); q1 = madd(y, w, q1);
    w = v128.load(b, 80);
    p2 = madd(x, w, p2); q2 = madd(y, w, q2);
    w = v128.load(b, 112);
    p3 = madd(x, w, p3); q3 = madd(y, w, q3);
  }
  v128.store(to, horizontalSums(p0, p1, p2, p3));
  v128.store(to, horizontalSums(q0, q1, q2, q3), 16);
}

/**
 * to[query][16] += the weights of four queries times 16 columns of values, \`steps\` positions. Weights of a
 * position lie side by side, \`weightStep\` from those of the next; values are \`row\` apart and sums \`stride\`.
 */
@inline export function addSixteen(
  weights: usize, weightStep: usize, values: usize, row: usize, steps: i32, to: usize, stride: usize,
): void {
  if (wideTiles) addWide(weights, weightStep, values, row, steps, to, stride);
  else {
    addHalf(weights, weightStep, values, row, steps, to, stride);
    addHalf(weights, weightStep, values + 32, row, steps, to + 32, stride);
  }
}
${add('addWide', 4, finishWide)}

/** Eight columns. */
${add('addHalf', 2, finishHalf)}

@inline function addTwo(to: usize, a: v128, b: v128): void {
  v128.store(to, f32x4.add(v128.load(to), a));
  v128.store(to, f32x4.add(v128.load(to, 16), b), 16);
}
`;
