// Four weight rows of F32, F16 or BF16, wherever they lie, times one or two rows of activations: what decoding and short
// prompts of models in these formats are made of. Four rows are four streams from memory, each by load instructions of
// its own (packed-decode-four.gen.ts), and share the activations.
//
// A 16-bit weight becomes f32 where it lies in its word of 32 bits: the odd columns' by clearing what is below them, the
// even ones' by a shift. So activations are split (splitRow) into blocks of 16 columns, even ones first. Of a half this
// gives a number 2^112 times too small, once its exponent is three bits further down: activations are 2^56 times as
// large as they are, and the sums 2^56 times too small. That is exact; infinities and NaNs are found by their bits.
//
// Pairs of vectors stand side by side, sums included, so that V8 makes 256-bit ones of them.
import { declare, each, load, numbered, stores } from '../build/vocabulary.ts';

interface Form {
  readonly name: string;
  /** Bytes of 16 columns of weights. */
  readonly bytes: 32 | 64;
  /** Vectors of even and of odd columns from the two of 32 bytes at `w`; null: the weights are f32, in order. */
  readonly even: ((word: string) => string) | null;
  readonly odd: (word: string) => string;
  /** Whether infinities and NaNs have to be looked for. */
  readonly finite: boolean;
}

const FORMS: readonly Form[] = [
  { name: 'F32', bytes: 64, even: null, odd: (w) => w, finite: true },
  {
    name: 'BF16',
    bytes: 32,
    even: (w) => `i32x4.shl(${w}, 16)`,
    odd: (w) => `v128.and(${w}, upper)`,
    finite: true,
  },
  {
    name: 'F16',
    bytes: 32,
    even: (w) => `v128.and(i32x4.shr_s(i32x4.shl(${w}, 16), 3), keep)`,
    odd: (w) => `v128.and(i32x4.shr_s(${w}, 3), keep)`,
    finite: false,
  },
];

const ROWS = 4;

/** Adds the products of the pair `values` with the activations' pair at `at`. */
const products = (row: number, xs: number, values: readonly [string, string], at: number): string =>
  each(xs, (x) => {
    const sum = `${'ab'[x]}${row}`;
    return each(2, (i) => `${sum}${i} = madd(${values[i]}, ${'xz'[x]}${at + i}, ${sum}${i});`, ' ');
  });

/** One block of 16 columns of weight row `row`. */
function block(form: Form, row: number, xs: number): string {
  const { even, odd, finite } = form;
  const word = (i: number) => `w${row}${i}`;
  const loads = declare('const', [word(0), word(1)], (i) => load(`w${row}`, 16 * i));
  const seen = finite
    ? ''
    : each(2, (i) => `greatest${i} = i16x8.max_s(greatest${i}, v128.and(${word(i)}, magnitude));`);
  if (even)
    return `${loads}
    ${seen}
    ${products(row, xs, [even(word(0)), even(word(1))], 0)}
    ${products(row, xs, [odd(word(0)), odd(word(1))], 2)}`;
  return `${loads}
    ${products(row, xs, [word(0), word(1)], 0)}
    ${declare('const', [word(2), word(3)], (i) => load(`w${row}`, 32 + 16 * i))}
    ${products(row, xs, [word(2), word(3)], 2)}`;
}

/** The sums of row `row` lie at 32 · row, those of the second row of activations 128 bytes on. */
function kernel(form: Form, xs: 1 | 2): string {
  const { name, bytes, finite } = form;
  const rows = numbered('w', ROWS);
  const sums = Array.from({ length: xs }, (_, x) => rows.flatMap((_, r) => numbered(`${'ab'[x]}${r}`, 2)));
  return `
/** Whether there was an infinity or a NaN that made the sums wrong. */
function dots${name}x${xs}(${rows.map((w) => `${w}: usize`).join(', ')}, x: usize, z: usize, blocks: i32, area: usize): bool {
  const upper = constant(UPPER_HALVES), keep = constant(HALF_KEEP), magnitude = constant(HALF_MAGNITUDE);
  const zero = i32x4.splat(0);
  let greatest0 = zero, greatest1 = zero;
  ${declare('let', sums.flat(), () => 'zero')}
  for (const end = x + (<usize>blocks << 6); x < end; x += 64) {
    ${declare('const', numbered('x', 4), (i) => load('x', 16 * i))}
    ${xs > 1 ? declare('const', numbered('z', 4), (i) => load('z', 16 * i)) : ''}
    ${rows.map((_, r) => block(form, r, xs)).join('\n')}
    ${xs > 1 ? 'z += 64;' : ''}
    ${rows.map((w) => `${w} += ${bytes};`).join(' ')}
  }
  ${stores('area', sums.flat())}
  ${finite ? 'return false;' : 'return v128.any_true(i16x8.ge_s(i16x8.max_s(greatest0, greatest1), i16x8.splat(0x7c00)));'}
}`;
}

export default `
${FORMS.flatMap((form) => [kernel(form, 1), kernel(form, 2)]).join('\n')}

/** Bytes of sums for two rows of activations. */
export const DOTS_AREA: usize = ${2 * ROWS * 32};

/** Multiplies 16 · \`blocks\` columns of four weight rows by \`rows\` rows of activations, at x and z. */
export function floatDots(
  layout: i32, rows: i32, ${numbered('w', ROWS)
    .map((w) => `${w}: usize`)
    .join(', ')}, x: usize, z: usize, blocks: i32, area: usize,
): bool {
  switch (layout * 2 + rows - 1) {
    ${['F32', 'F16', 'BF16']
      .flatMap((name, layout) =>
        [1, 2].map(
          (xs) =>
            `case ${layout * 2 + xs - 1}: return dots${name}x${xs}(${numbered('w', ROWS).join(', ')}, x, z, blocks, area);`,
        ),
      )
      .join('\n    ')}
    default: unreachable();
  }
  return false;
}

/** Copies 16 · \`blocks\` columns for floatDots of 16-bit weights: even before odd ones, for F16 times 2^56. */
export function splitRow(layout: i32, x: usize, blocks: i32, to: usize): void {
  const factor = f32x4.splat(layout == LAYOUT_F16 ? ${2 ** 56} : 1);
  for (const end = x + (<usize>blocks << 6); x < end; x += 64, to += 64) {
    ${declare('const', numbered('x', 4), (i) => `f32x4.mul(${load('x', 16 * i)}, factor)`)}
    v128.store(to, v128.shuffle<i32>(x0, x1, 0, 2, 4, 6));
    v128.store(to, v128.shuffle<i32>(x2, x3, 0, 2, 4, 6), 16);
    v128.store(to, v128.shuffle<i32>(x0, x1, 1, 3, 5, 7), 32);
    v128.store(to, v128.shuffle<i32>(x2, x3, 1, 3, 5, 7), 48);
  }
}

/** The sums of a row of activations, one for each weight row. */
@inline export function dotsOf(layout: i32, area: usize): v128 {
  const sums = horizontalSums(
    ${each(ROWS, (r) => `f32x4.add(${load('area', 32 * r)}, ${load('area', 32 * r + 16)})`, ', ')},
  );
  return layout == LAYOUT_F16 ? f32x4.mul(sums, f32x4.splat(${2 ** 56})) : sums;
}
`;
