// Typed views over an arena, as the reference kernels see it. Addresses in records are bytes.

export interface MemoryViews {
  readonly u8: Uint8Array;
  readonly i8: Int8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly f32: Float32Array;
}

export const viewsOf = (buffer: ArrayBufferLike): MemoryViews => ({
  u8: new Uint8Array(buffer),
  i8: new Int8Array(buffer),
  u16: new Uint16Array(buffer),
  u32: new Uint32Array(buffer),
  f32: new Float32Array(buffer),
});

/** `length` f32 values that start at byte `address`. */
export const floatsAt = (m: MemoryViews, address: number, length: number): Float32Array =>
  m.f32.subarray(address >>> 2, (address >>> 2) + length);

/** The row count that a record's `rows` field points at. */
export const liveRows = (m: MemoryViews, address: number): number => m.u32[address >>> 2]!;
