// From the hidden states of a text's tokens to one vector: pooling, the dense layers that some models have
// behind it, fewer dimensions, unit length. Sums in double.

/** How the states of a text's tokens become one vector. */
export type Pooling =
  /** The mean of all. */
  | 'mean'
  /** The first token's: [CLS]. */
  | 'cls'
  /** The last token's: the end token of decoders. */
  | 'last'
  /** The largest value of each channel. */
  | 'max'
  /** The mean with weights 1, 2, 3 … (SGPT). */
  | 'weightedMean'
  /** The sum, divided by the root of the number of tokens. */
  | 'meanSqrt';

export const POOLINGS: readonly Pooling[] = ['mean', 'cls', 'last', 'max', 'weightedMean', 'meanSqrt'];

/** A projection behind the pooling: `activation(weight x + bias)`. */
export interface DenseProjection {
  readonly inputs: number;
  readonly outputs: number;
  /** [outputs][inputs] */
  readonly weight: Float32Array;
  readonly bias: Float32Array | null;
  readonly activation: 'identity' | 'tanh' | 'relu' | 'gelu' | 'sigmoid';
}

/**
 * One vector of `size` from the states [rows][size]. The first `skip` rows are a prompt that does not count; a
 * weight of the mean is a row's own number, so it stays.
 */
export function pool(rows: Float32Array, size: number, pooling: Pooling, skip = 0): Float64Array {
  const count = rows.length / size;
  const first = Math.min(skip, count - 1);
  const row = (i: number) => Float64Array.from(rows.subarray(i * size, (i + 1) * size));
  if (pooling === 'cls') return row(first);
  if (pooling === 'last') return row(count - 1);
  if (pooling === 'max') return largest(rows, size, first, count);
  const sum = new Float64Array(size);
  let total = 0;
  for (let i = first; i < count; i++) {
    const weight = pooling === 'weightedMean' ? i + 1 : 1;
    total += weight;
    const at = i * size;
    for (let j = 0; j < size; j++) sum[j] = sum[j]! + weight * rows[at + j]!;
  }
  const divisor = pooling === 'meanSqrt' ? Math.sqrt(total) : total;
  for (let j = 0; j < size; j++) sum[j] = sum[j]! / divisor;
  return sum;
}

function largest(rows: Float32Array, size: number, first: number, count: number): Float64Array {
  const most = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
  for (let i = first; i < count; i++)
    for (let j = 0; j < size; j++) most[j] = Math.max(most[j]!, rows[i * size + j]!);
  return most;
}

export function project(x: Float64Array, dense: DenseProjection): Float64Array {
  const { inputs, outputs, weight, bias, activation } = dense;
  const y = new Float64Array(outputs);
  for (let o = 0; o < outputs; o++) {
    let sum = bias ? bias[o]! : 0;
    for (let i = 0; i < inputs; i++) sum += weight[o * inputs + i]! * x[i]!;
    y[o] = ACTIVATIONS[activation](sum);
  }
  return y;
}

const ACTIVATIONS: Record<DenseProjection['activation'], (x: number) => number> = {
  identity: (x) => x,
  tanh: Math.tanh,
  relu: (x) => Math.max(0, x),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};

/** Abramowitz & Stegun 7.1.26, within 1.5e-7. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series =
    t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}

/** The first `dimensions` numbers (Matryoshka), of unit length where asked for; a vector of zeros stays. */
export function finish(x: Float64Array, dimensions: number, normalize: boolean): Float32Array {
  let squares = 0;
  for (let i = 0; i < dimensions; i++) squares += x[i]! * x[i]!;
  const scale = normalize && squares > 0 ? 1 / Math.sqrt(squares) : 1;
  return Float32Array.from(x.subarray(0, dimensions), (value) => value * scale);
}
