// What the tiles and rows of one op's product have in common, at the start of a thread's scratch: functions take one
// address instead of a dozen arguments. The rest of the scratch is what `areaOf` gives.
import { PRODUCT_BYTES } from '../constants';

// @unmanaged
export class Product {
  layout: i32;
  columns: i32;
  outputs: i32;
  weight: usize;
  x: usize;
  /** In bytes, as yStride. */
  xStride: usize;
  /** Which row of x is that of row r of y; 0: row r. */
  rowIndex: usize;
  y: usize;
  yStride: usize;
  /** 0: none. */
  bias: usize;
  /** Whether products are added to what y holds. */
  accumulate: bool;
}

/** The product of an op, in the scratch of a thread. Without bias, index and accumulation: these are the caller's. */
export function beginProduct<T>(op: T, thread: i32): Product {
  const product = changetype<Product>(op.scratch + <usize>thread * op.threadBytes);
  product.layout = op.layout;
  product.columns = op.columns;
  product.outputs = op.outputs;
  product.weight = op.weight;
  product.x = op.x;
  product.xStride = op.xStride << 2;
  product.rowIndex = 0;
  product.y = op.y;
  product.yStride = op.yStride << 2;
  product.bias = 0;
  product.accumulate = false;
  return product;
}

// @inline
export function areaOf(product: Product): usize {
  return changetype<usize>(product) + PRODUCT_BYTES;
}

/** The bias of outputs from `output` on, 0 where there is none. */
// @inline
export function biasAt(product: Product, output: i32): usize {
  return product.bias ? product.bias + ((<usize>output) << 2) : 0;
}

/** The row of x that belongs to row `row` of y. */
// @inline
export function inputRow(product: Product, row: i32): usize {
  const rowIndex = product.rowIndex;
  return product.x + <usize>(rowIndex != 0 ? load<i32>(rowIndex + ((<usize>row) << 2)) : row) * product.xStride;
}
