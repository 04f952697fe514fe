// A panel: one tile of 16 rows of a packed matrix, spread out for the tile kernel. Codes become bytes (step s of a
// block: 8 rows x columns 4s…4s+3), scales f32; rows 0…7 first over all blocks (at `a`), then rows 8…15 (at `b`). Made
// once per tile and used for every 4 rows of activations, in a scratch that stays in the second-level cache.
import { ownScales, scaleConstants } from '../build/steps.ts';
import { declare, each, load, numbered, stores } from '../build/vocabulary.ts';
import { hasTwoDigits, LAYOUTS, type Layout } from '../layouts/index.ts';

/** Vectors 0, 1 are of rows 0…7, vectors 2, 3 of the others: `text` for each with where it goes. */
const toBoth = (text: (v: number, half: string, at: number) => string, a = 'a', b = 'b'): string =>
  each(4, (v) => text(v, v < 2 ? a : b, 16 * (v & 1)));
const put = (half: string, value: string, at: number): string => `v128.store(${half}, ${value}${at ? `, ${at}` : ''});`;

/**
 * A step of 16 rows as nibbles, the low ones to a and b, the high ones `apart` bytes on; or what the tables make of
 * them, the next table's 256 bytes on.
 */
const splitNibbles = (a: string, b: string, apart: number, tables: readonly string[] = []): string => {
  const nibbles = ['l', 'h'].map((name, i) => {
    const cut = (v: number) => `v128.and(${i ? `i16x8.shr_u(w${v}, 4)` : `w${v}`}, nibbles)`;
    if (!tables.length) return toBoth((v, half, at) => put(half, cut(v), at + i * apart), a, b);
    const looked = (table: string, t: number) =>
      toBoth((v, half, at) => put(half, `lookUp(${table}, ${name}${v})`, at + i * apart + 256 * t), a, b);
    return `${declare('const', numbered(name, 4), cut)}\n${tables.map(looked).join('\n')}`;
  });
  return `
    ${declare('const', numbered('w', 4), (v) => load('w', 16 * v))}
    ${nibbles.join('\n')}
    w += 64;`;
};

/** Adds bit 4 to the low nibbles' bytes, or to those of the high ones, 128 bytes on. */
const addBit = (apart: number): string =>
  toBoth((v, half, at) => {
    const bit = `v128.and(${apart ? `h${v}` : `i16x8.shl(h${v}, 4)`}, bit)`;
    return put(half, `v128.or(${load(half, at + apart)}, ${bit})`, at + apart);
  });

/** Codes of the block at w to a and b. */
function spreadCodes(layout: Layout): string {
  const { type, bits, levels } = layout;
  if (bits === 8)
    return `for (let q: usize = 0; q < 8; q++) {
      const c = a + q * 32, d = b + q * 32;
      ${splitNibbles('c', 'd', 256)}
    }`;
  if (bits === 5) return 'spreadNibbles(w + 64, a, b, nibbles); spreadFifthBits(w, a, b);';
  if (!levels) return 'spreadNibbles(w, a, b, nibbles);';
  const tables = hasTwoDigits(layout) ? ['LOW', 'HIGH'] : ['TABLE'];
  const names = tables.map((name) => name.toLowerCase());
  return `
    ${declare('const', names, (i) => `constant(${type}_${tables[i]})`)}
    let c = a, d = b;
    for (const stop = w + 256; w < stop; ) {
      ${splitNibbles('c', 'd', 128, names)}
      c += 32;
      d += 32;
    }`;
}

/** The panel of a type whose blocks have scales of their own. */
const ownBlocks = (layout: Layout): string => {
  const { type, levels, bits, minimum, scales, block } = layout;
  const codeBytes = bits === 8 ? 512 : 256;
  const width = hasTwoDigits(layout) ? 512 : 256;
  // Where codes are spread by a function, w stays.
  const at = bits === 8 || levels ? scales - codeBytes : scales;
  const names = ['s', 'm'].flatMap((name) => numbered(name, 4));
  return `
function panel${type}(w: usize, panel: usize, blocks: i32): void {
  const nibbles = constant(NIBBLES);
  ${scaleConstants(layout)}
  let a = panel, b = panel + <usize>blocks * panelBlockBytes(${panelKind(layout)});
  for (; blocks > 0; blocks--) {
    ${spreadCodes(layout)}
    ${ownScales(layout, 'w', at, names.slice(0, 4), names.slice(4))}
    ${toBoth((v, half, at) => put(half, `s${v}`, width + at))}
    ${minimum ? toBoth((v, half, at) => put(half, `m${v}`, width + 32 + at)) : ''}
    w += ${block - (scales - at)};
    a += panelBlockBytes(${panelKind(layout)});
    b += panelBlockBytes(${panelKind(layout)});
  }
}`;
};

/** Which kind of panel a type makes. */
function panelKind(layout: Layout): string {
  if (layout.scale === 'factors') return layout.minimum ? 'HALVES_MINIMUM' : 'HALVES';
  if (hasTwoDigits(layout)) return 'TWO_NIBBLES';
  if (layout.minimum) return layout.start ? 'MINIMUM_16' : 'MINIMUM';
  return layout.start === 16 ? 'OFFSET_16' : 'OFFSET_8';
}

/** `text` for each type, by number. */
const byType = (text: (layout: Layout) => string, between: string): string =>
  LAYOUTS.map((layout, i) => (i < LAYOUTS.length - 1 ? `if (type == ${layout.type}) ` : '') + text(layout)).join(
    between,
  );

/**
 * The panel of a type whose group's header becomes f32 in `room`: scales of 8 blocks, or scales and minima (Q4_K, Q5_K).
 */
const groups = (layout: Layout): string => {
  const { type, bits, levels, minimum, start, header, block } = layout;
  const kind = panelKind(layout);
  const scales = bits < 4 || !hasTwoDigits(layout) ? 256 : 512;
  const step = bits < 4 ? 0 : minimum ? 128 : 64;
  return `
function panel${type}(w: usize, panel: usize, blocks: i32, room: usize): void {
  const nibbles = constant(NIBBLES);
  let a = panel, b = panel + <usize>blocks * panelBlockBytes(${kind});
  for (; blocks > 0; blocks -= 8) {
    ${minimum ? `spreadScales(w, room, ${start ? 16 : 0});` : `spread${type}(w, room);`}
    w += ${header};
    for (let i: usize = 0; i < 8; i++) {
      ${bits < 4 ? spreadUnits(layout, 128) : spreadCodes(layout)}
      const from = room + i * ${step};
      ${each(minimum ? 8 : 4, (v) =>
        put('ab'[(v >> 1) & 1]!, load('from', 16 * v), scales + 16 * (v & 1) + 32 * (v >> 2)),
      )}
      w += ${levels ? block - 256 : block};
      a += panelBlockBytes(${kind});
      b += panelBlockBytes(${kind});
    }
  }
}`;
};

/** Both sets of 16 columns of 2-bit codes of the block at w, `apart` bytes from each other, with an offset of their own. */
const spreadUnits = ({ bits, start, scale }: Layout, apart: number): string => {
  const kindStart = scale === 'factors' ? 32 : 8;
  const lift = start ? `constant(LIFT_${kindStart - start})` : 'i32x4.splat(0)';
  return [0, 1]
    .map((u) => {
      const place = u ? ` + ${apart * u}` : '';
      return `spreadQuarters(w + ${64 * u}, w + 128, ${bits === 3 ? 4 * u : -1}, a${place}, b${place}, ${lift});`;
    })
    .join('\n      ');
};

/** Types with a factor for every 16 columns, these and their factors after each other. */
const factors = (layout: Layout): string => {
  const { type, bits, minimum, header, block } = layout;
  const kind = panelKind(layout);
  const minima = (h: number): string => `
      const v${h} = v128.load(minima, ${16 * h}), low${h} = i16x8.extend_low_i8x16_u(v${h}), high${h} = i16x8.extend_high_i8x16_u(v${h});
      ${toBoth((v, half, at) => {
        const wide = `i32x4.extend_${v % 2 ? 'high' : 'low'}_i16x8_u(${v < 2 ? 'low' : 'high'}${h})`;
        const value = `f32x4.mul(f32x4.convert_i32x4_s(${wide}), ${load('d', 16 * v)})`;
        return put(half, value, 352 + 32 * h + at);
      })}`;
  return `
function panel${type}(w: usize, panel: usize, blocks: i32, room: usize): void {
  let a = panel, b = panel + <usize>blocks * panelBlockBytes(${kind});
  ${minimum ? 'const d = room + MINIMUM_SCALES;' : ''}
  for (; blocks > 0; blocks -= 8) {
    spread${type}(w, room);
    let factors = ${bits === 6 ? 'w + 32' : 'room + FACTORS'};
    ${minimum ? 'let minima = room + MINIMA;' : ''}
    w += ${header};
    for (let i: usize = 0; i < 8; i++) {
      ${
        bits === 6
          ? `spreadSix(w, a);
      spreadSix(w + 32, b);
      spreadSix(w + 192, a + 160);
      spreadSix(w + 224, b + 160);`
          : spreadUnits(layout, 160)
      }
      ${each(4, (v) => `spreadFactors(factors + ${8 * v}, ${'ab'[v & 1]} + ${128 + 160 * (v >> 1)});`)}
      ${toBoth((v, half, at) => put(half, load('room', 16 * v), 320 + at))}
      ${minimum ? `${minima(0)}${minima(1)}\nminima += 32;` : ''}
      factors += 32;
      w += ${block};
      a += panelBlockBytes(${kind});
      b += panelBlockBytes(${kind});
    }
  }
}`;
};

const panel = (layout: Layout): string => {
  if (layout.scale === 'factors') return factors(layout);
  return layout.scale === 'group' ? groups(layout) : ownBlocks(layout);
};

export default `
/** Step q of 16 rows as nibbles: columns 4q… in the low, 16 + 4q… in the high ones. */
@inline function spreadNibbles(w: usize, a: usize, b: usize, nibbles: v128): void {
  for (let q: usize = 0; q < 4; q++) {
    ${splitNibbles('a', 'b', 128)}
    a += 32;
    b += 32;
  }
}

/** Adds bit 4 to the nibbles of a block: per 4 rows 16 bytes, bit q of a byte for step q, bit 4 + q for step 4 + q. */
@inline function spreadFifthBits(bits: usize, a: usize, b: usize): void {
  const bit = constant(BIT_4);
  ${declare('let', numbered('h', 4), (v) => load('bits', 16 * v))}
  for (let q = 0; q < 4; q++) {
    ${addBit(0)}
    ${addBit(128)}
    ${each(4, (v) => `h${v} = i16x8.shr_u(h${v}, 1);`)}
    a += 32;
    b += 32;
  }
}

/** Four steps of 8 rows: 6-bit codes of 16 columns. \`w\` and \`out\` are those rows'. */
@inline function spreadSix(w: usize, out: usize): void {
  const six = constant(SIX_BITS), top = constant(TOP_BITS);
  ${each(3, (i) => declare('const', numbered('abc'[i]!, 2), (v) => load('w', 64 * i + 16 * v)))}
  ${stores(
    'out',
    [...'abc'].flatMap((set) => numbered(set, 2).map((codes) => `v128.and(${codes}, six)`)),
  )}
  ${stores(
    'out',
    [0, 1].map((v) => `fourthSix(a${v}, b${v}, c${v}, top)`),
    96,
  )}
}

/**
 * Four steps of 16 columns of 2-bit codes at \`w\`, and their third bits, from bit \`third\` of the bytes at \`bits\` on,
 * if that is not negative; \`lift\` is added.
 */
@inline function spreadQuarters(w: usize, bits: usize, third: i32, a: usize, b: usize, lift: v128): void {
  const threes = constant(THREES), fours = constant(FOURS);
  ${declare('let', numbered('u', 4), (v) => load('w', 16 * v))}
  ${declare('let', numbered('h', 4), (v) => `third < 0 ? u${v} : i16x8.shr_u(${load('bits', 16 * v)}, third)`)}
  for (let j = 0; j < 4; j++) {
    ${toBoth((v, half, at) => {
      const code = `v128.and(u${v}, threes)`;
      const bit = `v128.and(i16x8.shl(h${v}, 2), fours)`;
      return put(half, `i8x16.add(third < 0 ? ${code} : v128.or(${code}, ${bit}), lift)`, at);
    })}
    ${each(4, (v) => `u${v} = i16x8.shr_u(u${v}, 2); h${v} = i16x8.shr_u(h${v}, 1);`)}
    a += 32;
    b += 32;
  }
}
${LAYOUTS.map(panel).join('\n')}

/** Which kind of panel a type makes. */
@inline export function panelKind(type: i32): i32 {
  ${byType((layout) => `return ${panelKind(layout)};`, '\n  ')}
}

/** Spreads the tile at \`w\` of \`blocks\` times 32 columns. \`room\` is SCALE_ROOM bytes. */
export function makePanel(type: i32, w: usize, panel: usize, blocks: i32, room: usize): void {
  ${byType(({ type, scale }) => `panel${type}(w, panel, blocks${scale === 'group' || scale === 'factors' ? ', room' : ''});`, '\n  else ')}
}
`;
