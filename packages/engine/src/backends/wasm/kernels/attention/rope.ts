// Rotary positions (Su et al. 2021) in the rotate-halves form, in place: (x[i], x[i + rotary / 2]) turns by
// position * inverseFrequencies[i]. Angles, sines and cosines are computed in double, four per row at a time,
// and used for all heads of the row: exact at any position. x is [rows][stride], heads side by side. One
// chunk is one row.
import { liveRows, madd, nextChunk } from '../common/common';
import { loadFloats, storeFloats } from '../common/math';
import { Rope } from '../op-records';

export function rope(op: Rope, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const half = op.rotary >> 1;
  const heads = op.heads;
  const headBytes = (<usize>op.headSize) << 2;
  const frequencies = op.inverseFrequencies;
  const positions = op.positions;
  const scale = <f64>op.attentionScale;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const position = <f64>load<u32>(positions + ((<usize>row) << 2));
    const x = op.x + ((<usize>row * op.xStride) << 2);
    for (let i = 0; i < half; i += 4) {
      const lanes = min(4, half - i);
      rotate(
        x + ((<usize>i) << 2),
        (<usize>half) << 2,
        heads,
        headBytes,
        position,
        frequencies + ((<usize>i) << 2),
        lanes,
        scale,
      );
    }
  }
}

/** Rotates up to four pairs of every head. */
function rotate(
  x: usize,
  half: usize,
  heads: i32,
  headBytes: usize,
  position: f64,
  frequencies: usize,
  lanes: i32,
  scale: f64,
): void {
  let cos = f32x4.splat(0);
  let sin = f32x4.splat(0);
  for (let lane = lanes - 1; lane >= 0; lane--) {
    const angle = position * <f64>load<f32>(frequencies + ((<usize>lane) << 2));
    cos = pushLane(cos, <f32>(cosine(angle) * scale));
    sin = pushLane(sin, <f32>(sine(angle) * scale));
  }
  for (let head = 0; head < heads; head++) {
    const low = loadFloats(x, lanes);
    const high = loadFloats(x + half, lanes);
    storeFloats(x, madd(low, cos, f32x4.neg(f32x4.mul(high, sin))), lanes);
    storeFloats(x + half, madd(high, cos, f32x4.mul(low, sin)), lanes);
    x += headBytes;
  }
}

/** Lanes move up by one, `value` becomes lane 0. */
// @inline
function pushLane(v: v128, value: f32): v128 {
  return f32x4.replace_lane(v128.shuffle<i32>(v, v, 0, 0, 1, 2), 0, value);
}

// @inline
function sine(x: f64): f64 {
  return turned(x, 0);
}

// @inline
function cosine(x: f64): f64 {
  return turned(x, 1);
}

/**
 * sin(x + quarters * pi / 2), |x| < 2^22: pi / 2 in two parts (the first with 33 bits, so that n times it is
 * exact), then Taylor.
 */
function turned(x: f64, quarters: i32): f64 {
  const n = nearest(x * 0.6366197723675814);
  const r = x - n * 1.5707963267341256 - n * 6.077100506506192e-11;
  const quadrant = <i32>n + quarters;
  const w = r * r;
  const value = quadrant & 1 ? taylorCosine(w) : r * taylorSine(w);
  return quadrant & 2 ? -value : value;
}

/** sin(r) / r with w = r^2, |r| <= pi / 4: error below 1e-14. */
// @inline
function taylorSine(w: f64): f64 {
  return (
    1 +
    w *
      (-1.0 / 6 +
        w * (1.0 / 120 + w * (-1.0 / 5040 + w * (1.0 / 362880 + w * (-1.0 / 39916800 + w * (1.0 / 6227020800))))))
  );
}

// @inline
function taylorCosine(w: f64): f64 {
  return (
    1 +
    w * (-0.5 + w * (1.0 / 24 + w * (-1.0 / 720 + w * (1.0 / 40320 + w * (-1.0 / 3628800 + w * (1.0 / 479001600))))))
  );
}
