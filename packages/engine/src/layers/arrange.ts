// How a tensor lies in memory: the one arrangement that loading, training and descriptions share. Matrices
// keep the order of their file, experts under each other. Vectors are f32, some in the order of their kernel:
//   transposed      [outer][inner] → [inner][outer]: neighbouring channels are neighbouring floats
//   channelBlocks   [channels][states] → [ceil(channels / 4)][states][4], zeros after the last channel

import type { LayerTensor } from './layer.ts';

export type Arrangeable = Pick<LayerTensor, 'shape' | 'kind' | 'order'>;

export interface ArrangedShape {
  readonly rows: number;
  readonly columns: number;
  /** Values in memory, padding included. */
  readonly count: number;
}

export const sizeOf = (shape: readonly number[]): number =>
  shape.reduce((product, size) => product * size, 1);

export function arrangedShape({ shape, kind, order }: Arrangeable): ArrangedShape {
  const [outer = 1, inner = 1] = shape;
  const count = sizeOf(shape);
  switch (order) {
    case 'transposed':
      return { rows: inner, columns: outer, count };
    case 'channelBlocks':
      return { rows: outer, columns: inner, count: Math.ceil(outer / 4) * 4 * inner };
    case undefined: {
      const columns = kind === 'matrix' ? (shape.at(-1) ?? 1) : count;
      return { rows: count / columns, columns, count };
    }
    default:
      return order satisfies never;
  }
}

/**
 * Where in memory the value at an index of the file's tensor lies; null when every value stays in its place.
 */
export function placeOf({ shape, order }: Arrangeable): ((index: number) => number) | null {
  const [outer = 1, inner = 1] = shape;
  switch (order) {
    case 'transposed':
      return (i) => (i % inner) * outer + Math.floor(i / inner);
    case 'channelBlocks':
      return (i) => {
        const channel = Math.floor(i / inner);
        return ((channel >> 2) * inner + (i % inner)) * 4 + (channel & 3);
      };
    case undefined:
      return null;
    default:
      return order satisfies never;
  }
}

/** Writes the values of a file's tensor to their places. `out` has `arrangedShape(tensor).count` values. */
export function arrange(tensor: Arrangeable, values: Float32Array, out: Float32Array): void {
  const place = placeOf(tensor);
  if (!place) {
    out.set(values);
    return;
  }
  if (out.length > values.length) out.fill(0);
  for (let i = 0; i < values.length; i++) out[place(i)] = values[i]!;
}

/** The values in the order of the file's tensor. */
export function restore(tensor: Arrangeable, stored: Float32Array): Float32Array {
  const place = placeOf(tensor);
  if (!place) return stored.slice();
  return Float32Array.from({ length: sizeOf(tensor.shape) }, (_, i) => stored[place(i)]!);
}
