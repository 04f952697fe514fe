// One row of a packed matrix as f32, for embeddings that share their weights with the output head. The values are
// those of the file's dequantisation, bit for bit. A row is 1/16 of its tile, gathered 4 bytes at a time; no hot path.
import { LAYOUTS, type Layout } from '../layouts/index.ts';

/** The code of column c of the block at `p` less its offset, or what it stands for, times the scale d. */
function value({ type, bits, levels, start, minimum }: Layout): string {
  if (bits === 8) return 'd * <f32>(<i32>load<u8>(p + (c >> 2) * 64 + r * 4 + (c & 3)) - 128)';
  const code = `code(p, r, c, ${bits})`;
  if (levels) return `d * <f32>(<i32>load<i8>(${type}_VALUES + ${code}))`;
  if (minimum) return `d * <f32>${code} + m`;
  return `d * <f32>(${code} - ${start})`;
}

/** Blocks with scales of their own. */
const ownBlocks = (layout: Layout): string => {
  const { type, scale, levels, minimum, block } = layout;
  return `
${levels ? `const ${type}_VALUES: usize = memory.data<i8>([${levels.join(', ')}]);` : ''}
function embed${type}(p: usize, r: usize, columns: i32, out: usize): void {
  for (let b = columns >> 5; b > 0; b--) {
    const d = ${scale === 'exponent' ? `power(load<u8>(p + ${type}_SCALES + r))` : `half(p + ${type}_SCALES + r * 2)`};
    ${minimum ? `const m = half(p + ${type}_SCALES + 32 + r * 2);` : ''}
    for (let c: usize = 0; c < 32; c++) {
      store<f32>(out, ${value(layout)});
      out += 4;
    }
    p += ${block};
  }
}`;
};

/** Groups of 256 columns whose blocks have a scale and a minimum of 6 bits each. */
const groups = ({ type, bits, block }: Layout): string => `
function embed${type}(p: usize, r: usize, columns: i32, out: usize): void {
  for (let b = columns >> 8; b > 0; b--) {
    const d = half(p + r * 2), dmin = half(p + 32 + r * 2);
    for (let i: usize = 0; i < 8; i++) {
      const scale = d * <f32>sixBitScale(p + 64, r, i), minimum = dmin * <f32>sixBitScale(p + 64, r, i + 8);
      for (let c: usize = 0; c < 32; c++) {
        store<f32>(out, scale * <f32>code(p + ${type}_HEADER + i * ${block}, r, c, ${bits}) - minimum);
        out += 4;
      }
    }
    p += ${type}_GROUP;
  }
}`;

/** Groups of 256 columns with a scale for each block, or for all. */
const scaled = ({ type, bits, block, levels, start, factor = 1 }: Layout): string => {
  const place = `p + ${type}_HEADER + i * ${block}`;
  const scale = bits < 4 ? 'd' : 'd * <f32>(sixBitScale(p + 32, r, i) - 32)';
  const code =
    bits < 4
      ? `quarter(${place}, r, c, ${bits}) - ${start}`
      : `<i32>load<i8>(${type}_VALUES + code(${place}, r, c, ${bits}))`;
  return `
${levels ? `const ${type}_VALUES: usize = memory.data<i8>([${levels.join(', ')}]);` : ''}
function embed${type}(p: usize, r: usize, columns: i32, out: usize): void {
  for (let b = columns >> 8; b > 0; b--) {
    const d = half(p + r * 2)${factor === 1 ? '' : ` * ${factor}`};
    for (let i: usize = 0; i < 8; i++) {
      const scale: f32 = ${scale};
      for (let c: usize = 0; c < 32; c++) {
        store<f32>(out, scale * <f32>(${code}));
        out += 4;
      }
    }
    p += ${type}_GROUP;
  }
}`;
};

/** Groups of 256 columns of 2 or 3 bits with a scale, and perhaps a minimum, for every 16. */
const quarters = ({ type, bits, block, minimum, start }: Layout): string => {
  const code = `quarter(p + ${type}_HEADER + i * ${block}, r, c, ${bits})`;
  const nibbles = 'load<u8>(p + 64 + k * 16 + r)';
  return `
function embed${type}(p: usize, r: usize, columns: i32, out: usize): void {
  for (let b = columns >> 8; b > 0; b--) {
    const d = half(p + r * 2)${minimum ? ', dmin = half(p + 32 + r * 2)' : ''};
    for (let i: usize = 0; i < 8; i++) {
      for (let c: usize = 0; c < 32; c++) {
        const k: usize = 2 * i + (c >> 4);
        const scale: f32 = d * <f32>(${minimum ? `${nibbles} & 15` : 'sixBitScale(p + 32, r, k) - 32'});
        ${minimum ? `const m: f32 = dmin * <f32>(${nibbles} >> 4);` : ''}
        store<f32>(out, scale * <f32>${minimum ? `${code} - m` : `(${code} - ${start})`});
        out += 4;
      }
    }
    p += ${type}_GROUP;
  }
}`;
};

const embedQ6_K = `
function embedQ6_K(p: usize, r: usize, columns: i32, out: usize): void {
  for (let b = columns >> 8; b > 0; b--) {
    const d = half(p + r * 2);
    for (let i: usize = 0; i < 8; i++) {
      for (let c: usize = 0; c < 32; c++) {
        const scale = d * <f32>(<i32>load<i8>(p + 32 + (2 * i + (c >> 4)) * 16 + r));
        const set = p + Q6_K_HEADER + i * Q6_K_BLOCK + (c >> 4) * Q6_K_PASS + r * 4 + (c & 3);
        store<f32>(out, scale * <f32>(sixBits(set, 64, (c & 15) >> 2) - 32));
        out += 4;
      }
    }
    p += Q6_K_GROUP;
  }
}`;

const embed = (layout: Layout): string => {
  if (layout.scale === 'factors') return layout.bits === 6 ? embedQ6_K : quarters(layout);
  if (layout.scale !== 'group') return ownBlocks(layout);
  return layout.minimum ? groups(layout) : scaled(layout);
};

export default `
/** Column c of 32: nibble, with bit 4 where the type has it, which comes first. */
function code(codes: usize, r: usize, c: usize, bits: i32): i32 {
  const at = codes + (bits == 5 ? 64 : 0) + ((c & 15) >> 2) * 64 + r * 4 + (c & 3);
  const nibble = (<i32>load<u8>(at) >> (c < 16 ? 0 : 4)) & 15;
  if (bits == 5) return nibble | (((<i32>load<u8>(codes + r * 4 + (c & 3)) >> <i32>(c >> 2)) & 1) << 4);
  return nibble;
}

/** Column c of 32 of 2 bits, with bit 2 where the type has it. */
function quarter(codes: usize, r: usize, c: usize, bits: i32): i32 {
  const at = codes + r * 4 + (c & 3);
  const low = (<i32>load<u8>(at + (c >> 4) * 64) >> <i32>(((c & 15) >> 2) * 2)) & 3;
  return bits == 2 ? low : low | (((<i32>load<u8>(at + 128) >> <i32>(c >> 2)) & 1) << 2);
}

/** The k-th of four 6-bit values in three bytes, \`stride\` apart from p on. */
function sixBits(p: usize, stride: usize, k: usize): i32 {
  if (k < 3) return <i32>load<u8>(p + k * stride) & 63;
  const first = <i32>load<u8>(p) >> 6,
    second = <i32>load<u8>(p + stride) >> 6,
    third = <i32>load<u8>(p + 2 * stride) >> 6;
  return first | (second << 2) | (third << 4);
}

/** The k-th of a row's sixteen 6-bit values: 8 scales, 8 minima. */
function sixBitScale(set: usize, r: usize, k: usize): i32 {
  return sixBits(set + (k >> 2) * 48 + r, 16, k & 3);
}

/** 2^(e - 128). */
function power(e: i32): f32 {
  return reinterpret<f32>(e < 2 ? 0x00200000 << e : (e - 1) << 23);
}
${LAYOUTS.map(embed).join('\n')}

export function packedEmbedRow(table: usize, layout: i32, row: i32, columns: i32, out: usize): void {
  const type = layout - PACKED_BASE;
  const tile = table + <usize>(row / TILE_OUTPUTS) * packedTileBytes(type, columns);
  const r = <usize>(row % TILE_OUTPUTS);
  ${LAYOUTS.map(({ type }) => `if (type == ${type}) embed${type}(tile, r, columns, out);`).join('\n  else ')}
}
`;
