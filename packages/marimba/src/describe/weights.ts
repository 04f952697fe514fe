// Where a model's parameters and bytes are, in its files and once it is loaded.
import type { ActivationPrecision, QuantizeType, TensorType } from '@marimba/engine';
import {
  type FoundWeight,
  fileBytes,
  fileType,
  layoutOf,
  packingRules,
  resolveActivations,
} from '@marimba/engine/architecture';
import type { PlacedWeight } from '@marimba/engine/plan';

/** What weights are summed by: embedding, head and norms, and the kinds of layers. */
export type Part = string;

const PART_NAMES: Readonly<Record<string, string>> = { dense: 'feed-forward', norm: 'norms' };

export interface DescribedWeight {
  readonly name: string;
  readonly layer: number;
  readonly role: FoundWeight['role'];
  readonly kind: FoundWeight['kind'];
  readonly part: Part;
  readonly parameters: number;
  readonly experts: FoundWeight['experts'];
  readonly fileType: TensorType;
  readonly fileBytes: number;
  /** As it will lie in memory. */
  readonly placed: PlacedWeight;
}

export interface LayoutChoice {
  readonly quantize?: QuantizeType | undefined;
  readonly activations?: ActivationPrecision | undefined;
  readonly backend?: 'wasm' | 'reference' | undefined;
}

export function describeWeights(found: readonly FoundWeight[], choice: LayoutChoice): DescribedWeight[] {
  const hiddenSize = found.find(({ role }) => role === 'embedding')?.shape[1] ?? 0;
  const rules = {
    quantize: choice.quantize ?? null,
    activations: resolveActivations(choice.activations ?? 'auto', hiddenSize),
    packing: choice.backend === 'reference' ? null : packingRules,
  };
  return found.map((weight) => ({
    name: weight.layer < 0 ? weight.role : `layers.${weight.layer}.${weight.role}`,
    layer: weight.layer,
    role: weight.role,
    kind: weight.kind,
    part: PART_NAMES[weight.part] ?? weight.part,
    parameters: weight.shape.reduce((product, d) => product * d, 1),
    experts: weight.experts,
    fileType: fileType(weight),
    fileBytes: fileBytes(weight),
    placed: { ...layoutOf(weight, rules), address: 0 },
  }));
}

/** Sums `value` by `key`, in order of first appearance. */
export function sumBy<K extends string>(
  weights: readonly DescribedWeight[],
  key: (weight: DescribedWeight) => K,
  value: (weight: DescribedWeight) => number,
): Map<K, number> {
  const sums = new Map<K, number>();
  for (const weight of weights) sums.set(key(weight), (sums.get(key(weight)) ?? 0) + value(weight));
  return sums;
}

export const total = (
  weights: readonly DescribedWeight[],
  value: (weight: DescribedWeight) => number,
): number => weights.reduce((sum, weight) => sum + value(weight), 0);

/** Parameters that one token passes through: of each routed layer only the chosen experts. */
export const activeParameters = (weights: readonly DescribedWeight[]): number =>
  total(weights, ({ parameters, experts }) =>
    experts ? (parameters * experts.topK) / experts.count : parameters,
  );
