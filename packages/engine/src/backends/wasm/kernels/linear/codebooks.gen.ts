// The codebooks of the IQ formats (formats/quants/codebooks.ts) as bytes that kernels load rows of: 33 KiB, written out
// in the module, since instances that share a memory would see each other fill it. IQ1's are eightfold, so that a move
// by an eighth is one.
import {
  type Codebook,
  IQ1_CODEBOOK,
  IQ2_S_CODEBOOK,
  IQ2_XS_CODEBOOK,
  IQ2_XXS_CODEBOOK,
  IQ3_S_CODEBOOK,
  IQ3_XXS_CODEBOOK,
} from '../../../../formats/quants/codebooks.ts';

const rows = (name: string, { values }: Codebook, factor = 1): string =>
  `export const ${name}: usize = memory.data<i8>([${[...values].map((value) => value * factor).join(',')}], 16);`;

export default `
${rows('IQ2_XXS_ROWS', IQ2_XXS_CODEBOOK)}
${rows('IQ2_XS_ROWS', IQ2_XS_CODEBOOK)}
${rows('IQ2_S_ROWS', IQ2_S_CODEBOOK)}
${rows('IQ3_XXS_ROWS', IQ3_XXS_CODEBOOK)}
${rows('IQ3_S_ROWS', IQ3_S_CODEBOOK)}
${rows('IQ1_ROWS', IQ1_CODEBOOK, 8)}
`;
