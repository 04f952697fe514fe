// Products of a few rows of activations with weights of F32, F16 and BF16 as they lie, without a detour over memory: four
// weight rows at a time (float-dots.gen.ts), whose sums join y.
import { halfToFloat } from '../common/math';
import { LAYOUT_BF16, LAYOUT_F16, LAYOUT_F32, layoutBytes } from './dequantize';
import { DOTS_AREA, dotsOf, floatDots, splitRow } from './float-dots.gen';
import { areaOf, inputRow, Product } from './product';

/** Floats that a thread's scratch has room for, besides sums: see rawLinearScratchBytes. */
// @inline
const SPLIT_FLOATS: i32 = 36800;

/**
 * Whether weights of a layout are multiplied where they lie. Halves are widened for every two rows: from four rows on it
 * is faster to widen them once.
 */
// @inline
export function multipliesFloats(layout: i32, rows: i32): bool {
  return layout == LAYOUT_F16 ? rows < 4 : layout <= LAYOUT_BF16;
}

/** Columns at the end of a row that are no whole block, or a row that holds an infinity or a NaN. */
export function plainDot(layout: i32, w: usize, x: usize, count: i32): f32 {
  let sum: f32 = 0;
  for (; count > 0; count--, x += 4) {
    let weight: f32 = 0;
    if (layout == LAYOUT_F32) weight = load<f32>(w);
    else if (layout == LAYOUT_F16) weight = halfToFloat(load<u16>(w));
    else weight = reinterpret<f32>((<u32>load<u16>(w)) << 16);
    sum += weight * load<f32>(x);
    w += layout == LAYOUT_F32 ? 4 : 2;
  }
  return sum;
}

/**
 * y[r][o] += W[o] x[r] for r in [firstRow, endRow) and the outputs first + i · between + g · advance, i < 4, g < groups:
 * four streams at a time, which lie side by side (between 1, advance 4) or far apart. None is at or beyond `end`.
 */
export function multiplyFloats(
  p: Product,
  firstRow: i32,
  endRow: i32,
  first: i32,
  end: i32,
  between: i32,
  advance: i32,
  groups: i32,
): void {
  const layout = p.layout,
    rowBytes = layoutBytes(layout, p.columns);
  const rows = endRow - firstRow,
    room = min(p.columns, SPLIT_FLOATS / rows) & ~15;
  const area = areaOf(p),
    split = area + DOTS_AREA;
  for (let k = 0; k < p.columns; ) {
    const whole = min(room, (p.columns - k) & ~15);
    const columns = whole ? whole : p.columns - k;
    const weight = p.weight + layoutBytes(layout, k);
    const rowSplit = (<usize>whole) << 2,
      column = (<usize>k) << 2;
    if (whole && layout != LAYOUT_F32)
      for (let r = 0; r < rows; r++)
        splitRow(layout, inputRow(p, firstRow + r) + column, whole >> 4, split + <usize>r * rowSplit);
    for (let g = 0; g < groups; g++) {
      const output = first + g * advance;
      const last = end - 1;
      const w0 = weight + <usize>output * rowBytes,
        w1 = weight + <usize>min(last, output + between) * rowBytes,
        w2 = weight + <usize>min(last, output + 2 * between) * rowBytes,
        w3 = weight + <usize>min(last, output + 3 * between) * rowBytes;
      const live = between > 1 ? 4 : min(4, end - output);
      for (let r = 0; r < rows; r += 2) {
        const two = r + 1 < rows;
        const x0 = inputRow(p, firstRow + r) + column,
          x1 = two ? inputRow(p, firstRow + r + 1) + column : x0;
        const y = p.y + <usize>(firstRow + r) * p.yStride + ((<usize>output) << 2);
        let plain = whole == 0;
        if (!plain) {
          const a = layout == LAYOUT_F32 ? x0 : split + <usize>r * rowSplit,
            b = layout == LAYOUT_F32 ? x1 : split + <usize>(r + 1) * rowSplit;
          plain = floatDots(layout, two ? 2 : 1, w0, w1, w2, w3, a, b, whole >> 4, area);
          if (!plain) {
            addLanes(y, dotsOf(layout, area), between, live);
            if (two) addLanes(y + p.yStride, dotsOf(layout, area + 128), between, live);
          }
        }
        if (plain) {
          for (let i = 0; i < live; i++) {
            const w = weight + <usize>(output + i * between) * rowBytes,
              to = y + ((<usize>i * between) << 2);
            store<f32>(to, load<f32>(to) + plainDot(layout, w, x0, columns));
            if (two) store<f32>(to + p.yStride, load<f32>(to + p.yStride) + plainDot(layout, w, x1, columns));
          }
        }
      }
    }
    k += columns;
  }
}

/** Adds the first `count` lanes to floats at `y`, `between` floats apart. */
export function addLanes(y: usize, lanes: v128, between: i32, count: i32): void {
  const step = (<usize>between) << 2;
  store<f32>(y, load<f32>(y) + f32x4.extract_lane(lanes, 0));
  if (count > 1) store<f32>(y + step, load<f32>(y + step) + f32x4.extract_lane(lanes, 1));
  if (count > 2) store<f32>(y + 2 * step, load<f32>(y + 2 * step) + f32x4.extract_lane(lanes, 2));
  if (count > 3) store<f32>(y + 3 * step, load<f32>(y + 3 * step) + f32x4.extract_lane(lanes, 3));
}
