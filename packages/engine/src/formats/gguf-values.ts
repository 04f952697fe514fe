// Values of GGUF metadata, and short forms to write them.

/** As read: 64-bit integers that are not exact as numbers stay bigint. */
export type MetadataValue = number | bigint | boolean | string | MetadataValue[];

/** Metadata types in the order of the specification (ggml/docs/gguf.md), whose numbers files store. */
export const METADATA_TYPES = [
  'u8',
  'i8',
  'u16',
  'i16',
  'u32',
  'i32',
  'f32',
  'bool',
  'string',
  'array',
  'u64',
  'i64',
  'f64',
] as const;

export type MetadataType = (typeof METADATA_TYPES)[number];

/** A value to write. An array of arrays has typed values as its elements. */
export type TypedMetadataValue =
  | { readonly type: Exclude<MetadataType, 'array'>; readonly value: MetadataValue }
  | {
      readonly type: 'array';
      readonly of: Exclude<MetadataType, 'array'>;
      readonly value: readonly MetadataValue[];
    }
  | { readonly type: 'array'; readonly of: 'array'; readonly value: readonly TypedMetadataValue[] };

export const u32 = (value: number): TypedMetadataValue => ({ type: 'u32', value });
export const f32 = (value: number): TypedMetadataValue => ({ type: 'f32', value });
export const flag = (value: boolean): TypedMetadataValue => ({ type: 'bool', value });
export const text = (value: string): TypedMetadataValue => ({ type: 'string', value });
export const flagList = (value: readonly boolean[]): TypedMetadataValue => ({
  type: 'array',
  of: 'bool',
  value,
});
export const i32List = (value: readonly number[]): TypedMetadataValue => ({
  type: 'array',
  of: 'i32',
  value,
});
