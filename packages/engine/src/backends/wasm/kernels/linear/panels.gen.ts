// The register tiles of f32 products over panels: 4 rows times 8 outputs, or 16 where V8 makes 256-bit operations of
// pairs (tiles.ts). Rows lie wherever four addresses say, and results join c (raw-product.ts); or rows are a panel, too,
// [k][4], and results go to a tile (gemm.ts).
import { declare, each, load, numbered, splat, stores } from '../build/vocabulary.ts';

interface Tile {
  readonly name: string;
  /** Vectors of 4 outputs; of 4, the last two are those of a second panel. */
  readonly vectors: 2 | 4;
  readonly packed: boolean;
}

const row = (r: number, vectors: number): string[] => numbered(`a${r}`, vectors);

/** What becomes of a row's sums. */
function finish(r: number, { vectors, packed }: Tile): string {
  if (packed) return stores('tile', row(r, vectors), 16 * vectors * r);
  const c = r ? `c${r}` : 'c';
  if (vectors === 4) return `addFour(${c}, ${row(r, vectors).join(', ')});`;
  return each(2, (v) => `v128.store(${c}, f32x4.add(${load(c, 16 * v)}, a${r}${v})${v ? ', 16' : ''});`);
}

function tile(shape: Tile): string {
  const { name, vectors, packed } = shape;
  const panels = vectors === 4 ? ['left', 'right'] : ['panel'];
  const rows = packed ? ['a'] : numbered('x', 4);
  const others = packed ? 'length: usize, tile: usize' : 'panelStep: usize, count: i32, c: usize, cStride: usize';
  const at = (r: number) => (packed ? splat('a', 4 * r) : splat(`x${r}`));
  return `
export function ${name}(${[...rows, ...panels].map((p) => `${p}: usize`).join(', ')}, ${others}): void {
  ${packed ? '' : 'const c1 = c + cStride, c2 = c1 + cStride, c3 = c2 + cStride;'}
  ${declare('let', each(4, (r) => row(r, vectors).join(), ',').split(','), (i) => (i ? 'a00' : 'f32x4.splat(0)'))}
  const end = ${packed ? 'a + length' : 'x0 + ((<usize>count) << 2)'};
  while (${rows[0]} < end) {
    ${declare('const', numbered('w', vectors), (v) => load(panels[v >> 1]!, 16 * (v & 1)))}
    ${each(4, (r) => {
      const sums = row(r, vectors).map((a, v) => `${a} = madd(x, w${v}, ${a});`);
      return `${r ? '' : 'let '}x = ${at(r)}; ${sums.join(' ')}`;
    })}
    ${packed ? 'a += 16;' : ''}
    ${panels.map((p) => `${p} += ${packed ? 32 : 'panelStep'};`).join(' ')}
    ${packed ? '' : rows.map((x) => `${x} += 4;`).join(' ')}
  }
  ${each(4, (r) => finish(r, shape))}
}`;
}

/** out[k][lane] = rows[lane][k] for four rows, k < count, the steps of `out` being \`step\` bytes long. */
const transpose = (name: string, step: number): string => `
@inline export function ${name}(w0: usize, w1: usize, w2: usize, w3: usize, count: i32, out: usize): void {
  let left = count;
  for (; left >= 4; left -= 4) {
    ${declare('const', numbered('r', 4), (i) => load(`w${i}`))}
    ${['low 0, 4, 1, 5', 'high 2, 6, 3, 7']
      .map((text) => [text.split(' ')[0]!, text.slice(text.indexOf(' ') + 1)])
      .map(([half, lanes]) =>
        declare('const', [`${half}01`, `${half}23`], (i) => `v128.shuffle<i32>(r${2 * i}, r${2 * i + 1}, ${lanes})`),
      )
      .join('\n')}
    ${each(4, (i) => {
      const half = i < 2 ? 'low' : 'high';
      const word = `v128.shuffle<i64>(${half}01, ${half}23, ${i & 1}, ${2 + (i & 1)})`;
      return `v128.store(out, ${word}${i ? `, ${i * step}` : ''});`;
    })}
    ${each(4, (i) => `w${i} += 16;`, ' ')}
    out += ${4 * step};
  }
  for (; left > 0; left--) {
    ${each(4, (i) => `store<f32>(out, load<f32>(w${i})${i ? `, ${4 * i}` : ''});`, ' ')}
    ${each(4, (i) => `w${i} += 4;`, ' ')}
    out += ${step};
  }
}`;

export default `
/** c[r][0…8) += sum over k < count of x_r[k] * panel[k][0…8), for four rows of x; rows of c are cStride bytes apart.
 * Sums start at zero and join c at the end: over several pieces of a long row that loses less than one chain. */
@inline ${tile({ name: 'panelTile', vectors: 2, packed: false }).trim()}

/** The same for two panels whose results lie side by side: 16 columns of c. For 256-bit registers only. */
${tile({ name: 'panelPairTile', vectors: 4, packed: false })}

@inline export function addFour(c: usize, a0: v128, a1: v128, a2: v128, a3: v128): void {
  ${each(4, (v) => `a${v} = f32x4.add(${load('c', 16 * v)}, a${v});`)}
  ${stores('c', numbered('a', 4))}
}

/** tile[4][8] = A B; length is that of the panel of A: 16 bytes a step. */
${tile({ name: 'multiplyTile', vectors: 2, packed: true })}

/** tile[4][16] = A B for two panels of B, in 256-bit registers. Stored in a straight run, or nothing pairs. */
${tile({ name: 'multiplyWideTile', vectors: 4, packed: true })}

/** Four rows as half of a panel of 8, or as a panel of 4. */
${transpose('packHalfPanel', 32)}
${transpose('packPanelOfFour', 16)}
`;
