// Where a model's parameters and bytes are, in its files and once it is loaded.
import type { ActivationPrecision, ModelSpec, QuantizeType, TensorType } from '@marimba/engine';
import {
  chooseLayout,
  type FoundWeight,
  matrixShape,
  packingRules,
  resolveActivations,
  targetType,
} from '@marimba/engine/architecture';
import type { PlacedWeight } from '@marimba/engine/plan';

export const PARTS = ['embedding', 'head', 'mamba', 'attention', 'feed-forward', 'experts', 'norms'] as const;
export type Part = (typeof PARTS)[number];

export interface DescribedWeight {
  readonly name: string;
  readonly layer: number;
  readonly role: FoundWeight['role'];
  readonly kind: FoundWeight['kind'];
  readonly part: Part;
  readonly parameters: number;
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
  const activations = resolveActivations(choice.activations ?? 'auto', hiddenSize);
  return found.map((weight) => ({
    name: weight.layer < 0 ? weight.role : `layers.${weight.layer}.${weight.role}`,
    layer: weight.layer,
    role: weight.role,
    kind: weight.kind,
    part: partOf(weight.role),
    parameters: weight.shape.reduce((product, d) => product * d, 1),
    fileType: weight.tensors[0]!.type,
    fileBytes: weight.tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0),
    placed: weight.kind === 'vector' ? placeVector(weight) : placeMatrix(weight, { ...choice, activations }),
  }));
}

function partOf(role: FoundWeight['role']): Part {
  if (role === 'embedding' || role === 'head') return role;
  if (/Norm$/.test(role) && !/^(dt|b|c)Norm$/.test(role)) return 'norms';
  if (/^(q|k|v|o)(Bias)?$|^ropeFactors$/.test(role)) return 'attention';
  if (/^(router|expert)/.test(role)) return 'experts';
  return /^(gate|up|down)/.test(role) ? 'feed-forward' : 'mamba';
}

/** Vectors become f32, whatever the file holds. */
function placeVector({ role, shape }: FoundWeight): PlacedWeight {
  const count = shape.reduce((product, d) => product * d, 1);
  const [outer = 1, inner = 1] = shape;
  // As the loader arranges them: see engine/src/model/load.ts.
  const [rows, columns] = role === 'convWeight' ? [inner, outer] : role === 'a' ? [outer, inner] : [1, count];
  return { address: 0, layout: { type: 'F32', packed: false }, rows, columns, byteLength: count * 4 };
}

function placeMatrix(
  weight: FoundWeight,
  { quantize, activations, backend }: LayoutChoice & { activations: 'f32' | 'int8' },
): PlacedWeight {
  const { rows, columns } = matrixShape(weight);
  const experts = weight.shape.length === 3 ? weight.shape[0]! : 1;
  const packing = backend === 'reference' ? null : packingRules;
  const type = targetType(weight, quantize ?? null);
  const { layout, byteLength } = chooseLayout(type, rows / experts, columns, activations, packing);
  return { address: 0, layout, rows, columns, byteLength: byteLength * experts };
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
export function activeParameters(spec: ModelSpec, weights: readonly DescribedWeight[]): number {
  return total(weights, ({ layer, role, parameters }) => {
    const feedForward = spec.layers[layer]?.feedForward;
    if (feedForward?.kind !== 'experts' || !role.startsWith('expert')) return parameters;
    return (parameters * feedForward.topK) / feedForward.count;
  });
}
