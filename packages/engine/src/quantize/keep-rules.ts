// Exceptions to the recipe of a file type: `ssm_out=q8_0` stores every matrix whose GGUF name contains
// `ssm_out` as Q8_0. `*` stands for anything: `blk.1*.ffn_down=q6_K` covers layers 1 and 10 to 19. The last
// rule that matches wins.
import { UsageError } from '../errors.ts';
import { TENSOR_TYPES } from '../formats/tensor-types.ts';
import type { TensorType } from '../formats/types.ts';
import { FILE_TYPES, type FileType, tensorTypeOf } from '../weights/recipe.ts';

export interface KeepRule {
  readonly pattern: string;
  readonly type: FileType;
}

/** Reads a type's name in any case; `q4_K_M` is another name for the mix `q4_K`, `mxfp4_moe` for `mxfp4`. Throws UsageError. */
export function parseFileType(name: string, subject: string): FileType {
  const wanted = name.toLowerCase().replace(/^(q[345]_k)_m$|^(mxfp4)_moe$/, '$1$2');
  const type = FILE_TYPES.find((known) => known.toLowerCase() === wanted);
  if (!type)
    throw new UsageError(
      `${subject}: expected one of ${FILE_TYPES.join(', ')}, found ${JSON.stringify(name)}`,
    );
  return type;
}

export function parseKeepRule(text: string): KeepRule {
  const at = text.lastIndexOf('=');
  const pattern = text.slice(0, Math.max(at, 0));
  if (!/^[\w.*]+$/.test(pattern))
    throw new UsageError(`keep ${JSON.stringify(text)}: expected PATTERN=TYPE, such as ssm_out=q8_0`);
  return { pattern, type: parseFileType(text.slice(at + 1), `keep ${pattern}`) };
}

interface Named {
  readonly name: string;
  readonly shape: readonly number[];
  /** False for vectors and routers, which stay F32. */
  readonly quantizable: boolean;
}

/**
 * Maps names of tensors to the types that rules set. Throws UsageError for a rule that matches nothing or
 * does not fit.
 */
export function applyKeepRules(
  tensors: readonly Named[],
  rules: readonly KeepRule[],
): Map<string, TensorType> {
  const chosen = new Map<string, TensorType>();
  for (const { pattern, type } of rules) {
    const expression = new RegExp(pattern.replaceAll('.', '\\.').replaceAll('*', '.*'));
    const matching = tensors.filter(({ name }) => expression.test(name));
    const matrices = matching.filter(({ quantizable }) => quantizable);
    if (!matrices.length)
      throw new UsageError(`keep ${pattern}: ${nothingMatches(tensors, matching.length > 0)}`);
    for (const { name, shape } of matrices) {
      const stored = tensorTypeOf(type);
      const { blockLength } = TENSOR_TYPES[stored];
      const columns = shape.at(-1) ?? 1;
      if (columns % blockLength)
        throw new UsageError(
          `keep ${pattern}=${type}: tensor ${name}: expected rows of a multiple of ${blockLength}, found ${columns}. Choose q8_0, q5_0 or f16.`,
        );
      chosen.set(name, stored);
    }
  }
  return chosen;
}

function nothingMatches(tensors: readonly Named[], onlyVectors: boolean): string {
  const parts = new Set(tensors.filter((t) => t.quantizable).map(({ name }) => namePart(name)));
  const found = onlyVectors ? 'found only tensors that are always F32' : 'found none of that name';
  return `expected part of the name of a matrix, ${found}. Matrices: ${[...parts].join(', ')}`;
}

/** `blk.3.ssm_out.weight` → `ssm_out`. */
export const namePart = (name: string): string =>
  name.replace(/^blk\.\d+\./, '').replace(/\.(weight|bias)$/, '');
