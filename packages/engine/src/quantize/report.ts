// Reports what quantising did to each tensor, and which tensors deserve more bits. Every warning carries the
// `--keep` that answers it.

import type { Role } from '../architecture/roles.ts';
import type { Loss } from '../export/convert-rows.ts';
import type { GgufTensor } from '../export/gguf-model.ts';
import type { TensorType } from '../formats/types.ts';
import { bitsPerWeight } from '../weights/recipe.ts';
import type { Divergence } from './damage.ts';
import { namePart } from './keep-rules.ts';

export interface TensorDamage {
  readonly name: string;
  readonly sourceType: TensorType;
  readonly type: TensorType;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** Root mean square of the error, as a share of the weights' own root mean square. */
  readonly relativeError: number;
  /** The largest single error, as a multiple of the weights' root mean square. */
  readonly maxError: number;
}

export interface Warning {
  readonly tensors: readonly string[];
  readonly message: string;
  /** The argument of `--keep` that helps; null when there is none. */
  readonly keep: string | null;
}

export function tensorDamage(
  tensors: readonly GgufTensor[],
  placements: readonly { readonly byteLength: number }[],
  losses: readonly Loss[],
): TensorDamage[] {
  return tensors.map(({ name, sourceType, type, shape }, i) => {
    const { squaredError, squaredSum, maxError } = losses[i]!;
    const rms = Math.sqrt(squaredSum / shape.reduce((a, b) => a * b, 1));
    return {
      name,
      sourceType,
      type,
      shape,
      byteLength: placements[i]!.byteLength,
      relativeError: squaredSum > 0 ? Math.sqrt(squaredError / squaredSum) : 0,
      maxError: rms > 0 ? maxError / rms : 0,
    };
  });
}

/** The recurrence feeds errors in these back at every token. */
const STATE_SPACE: ReadonlySet<Role> = new Set<Role>(['xProj', 'dtProj', 'outProj']);
/** A tensor stands out when its error is this many times the median of its format. */
const OUTSTANDING = 1.6;
/** Fewer tensors of one format have no meaningful median. */
const ENOUGH_TO_COMPARE = 4;

export function tensorWarnings(tensors: readonly GgufTensor[], damage: readonly TensorDamage[]): Warning[] {
  return [...stateSpaceWarnings(tensors), ...outstanding(damage)];
}

function stateSpaceWarnings(tensors: readonly GgufTensor[]): Warning[] {
  const groups = new Map<string, GgufTensor[]>();
  for (const tensor of tensors) {
    // A source with as few bits has nothing left to keep.
    const lossy =
      bitsPerWeight(tensor.type) < 8 && bitsPerWeight(tensor.sourceType) > bitsPerWeight(tensor.type);
    if (tensor.role && STATE_SPACE.has(tensor.role) && tensor.quantizable && lossy)
      groups.set(namePart(tensor.name), [...(groups.get(namePart(tensor.name)) ?? []), tensor]);
  }
  return [...groups].map(([part, group]) => ({
    tensors: group.map((t) => t.name),
    message:
      `${part} (${group.length} layers) is stored with fewer than 8 bits (${[...new Set(group.map((t) => t.type))].join(', ')}). Hybrids ` +
      'are most sensitive in their state-space weights: one wrote nonsense with 8-bit ssm_out (llama.cpp #24501). Check the divergence below.',
    keep: `${part}=q8_0`,
  }));
}

function outstanding(damage: readonly TensorDamage[]): Warning[] {
  const byType = new Map<TensorType, TensorDamage[]>();
  for (const tensor of damage)
    if (tensor.relativeError > 0) byType.set(tensor.type, [...(byType.get(tensor.type) ?? []), tensor]);
  const found: Warning[] = [];
  for (const [type, group] of byType) {
    if (group.length < ENOUGH_TO_COMPARE || bitsPerWeight(type) > 9) continue;
    const errors = group.map((t) => t.relativeError).sort((a, b) => a - b);
    const median = errors[Math.floor(errors.length / 2)]!;
    const worst = group
      .filter((t) => t.relativeError > OUTSTANDING * median)
      .sort((a, b) => b.relativeError - a.relativeError);
    const better = type === 'Q8_0' ? 'f16' : bitsPerWeight(type) < 6 ? 'q6_K' : 'q8_0';
    for (const { name, relativeError, shape } of worst.slice(0, 5)) {
      const fits = better !== 'q6_K' || (shape.at(-1) ?? 0) % 256 === 0;
      found.push({
        tensors: [name],
        message: `${name} loses ${percent(relativeError)} in ${type}, where ${percent(median)} is the median: it has outliers.`,
        keep: `${name.replace(/\.weight$/, '')}=${fits ? better : 'q8_0'}`,
      });
    }
  }
  return found;
}

/** The threshold of llama.cpp's users: a mean divergence of 0.1 nats shows in answers. */
export function divergenceWarnings(divergence: Divergence, damage: readonly TensorDamage[]): Warning[] {
  if (!(divergence.meanKl > 0.1) && divergence.topAgreement >= 0.85) return [];
  // Ranks the parts of the model by their error, weighted by their size.
  const shares = new Map<string, number>();
  for (const { name, relativeError, shape } of damage)
    shares.set(
      namePart(name),
      (shares.get(namePart(name)) ?? 0) + relativeError ** 2 * shape.reduce((a, b) => a * b, 1),
    );
  const worst = [...shares]
    .filter(([, share]) => share > 0)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 3)
    .map(([part]) => part);
  return [
    {
      tensors: damage.filter(({ name }) => worst.includes(namePart(name))).map(({ name }) => name),
      message:
        `quantising changed the model visibly: mean KL divergence ${divergence.meanKl.toFixed(3)} nats, the same likeliest token at ${percent(divergence.topAgreement)} ` +
        `of positions. Choose a larger type, or keep more bits in the parts that lost most: ${worst.join(', ')}.`,
      keep: worst[0] ? `${worst[0]}=q8_0` : null,
    },
  ];
}

const percent = (share: number) => `${(share * 100).toFixed(share < 0.1 ? 2 : 1)} %`;
