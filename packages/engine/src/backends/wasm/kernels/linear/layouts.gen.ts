// Numbers of the packed layouts, from kernels/layouts: what packing while loading and the reference have.

import { FIXED_SCRATCH, GATHERED_ROWS, PANEL_BLOCK_BYTES } from '../../../../plan/codes.ts';
import { PACKED_BASE } from '../../../../plan/layouts.ts';
import { groupBytes, LAYOUTS } from '../layouts/index.ts';
import { TILE_OUTPUTS } from '../layouts/tile.ts';

const constant = (name: string, type: string, value: number): string =>
  `@inline export const ${name}: ${type} = ${value};`;

const types = LAYOUTS.map((layout, id) => {
  const { type, header, block, scales } = layout;
  return [
    constant(type, 'i32', id),
    constant(`${type}_GROUP`, 'usize', groupBytes(layout)),
    constant(`${type}_HEADER`, 'usize', header),
    constant(`${type}_BLOCK`, 'usize', block),
    constant(`${type}_SCALES`, 'usize', scales),
  ].join('\n');
});

/** Rows of 16 of each type: of 32 columns a group first, then of 256. */
const bytes = [...LAYOUTS]
  .sort((a, b) => a.columns - b.columns)
  .map(({ type, columns }, i) => {
    const size = `<usize>(columns >> ${Math.log2(columns)}) * ${type}_GROUP`;
    return i === LAYOUTS.length - 1 ? `  return ${size};` : `  if (type == ${type}) return ${size};`;
  });

export default `
${types.join('\n')}
/** Of 16 columns of a block. */
${constant('Q6_K_PASS', 'usize', LAYOUTS.find(({ type }) => type === 'Q6_K')!.block / 2)}

${constant('PACKED_BASE', 'i32', PACKED_BASE)}
${constant('TILE_OUTPUTS', 'i32', TILE_OUTPUTS)}
${constant('FIXED_SCRATCH', 'usize', FIXED_SCRATCH)}
${constant('GATHERED_ROWS', 'i32', GATHERED_ROWS)}
${constant('PANEL_BLOCK_BYTES', 'usize', PANEL_BLOCK_BYTES)}

/** Bytes of 16 rows. */
@inline export function packedTileBytes(type: i32, columns: i32): usize {
${bytes.join('\n')}
}
`;
