// What families ask to decide whether a GGUF architecture can hold a model. They compare with what a plain
// model has, so that an option which is added to models or layers later is refused where nobody knows it.

import type { AttentionSpec } from '../layers/attention.ts';
import type { MambaSpec } from '../layers/mamba.ts';
import type { Mamba2Spec } from '../layers/mamba2.ts';
import { yarnAttentionFactor } from '../layers/rope.ts';
import { allOfKind, type LayerSpec, type ModelSpec, UNSCALED } from './spec.ts';

/** What cannot be said, to end "found …"; null when everything can. */
export type Misfit = string | null;

/** The first field in which `found` differs from `plain`, other than the `said` ones. */
export function differsFrom<Spec extends object>(
  found: Spec,
  plain: Partial<Spec>,
  said: readonly (keyof Spec)[] = [],
): Misfit {
  const fields = new Set(Object.keys({ ...found, ...plain })) as Set<keyof Spec & string>;
  for (const field of fields)
    if (!said.includes(field) && JSON.stringify(found[field]) !== JSON.stringify(plain[field]))
      return `${field} ${JSON.stringify(found[field])}`;
  return null;
}

/** What every architecture has a key for, or what the writer sees to. */
const ALWAYS_SAID = [
  'family',
  'name',
  'vocabularySize',
  'hiddenSize',
  'normEpsilon',
  'tiedHead',
  'contextLength',
  'beginToken',
  'endTokens',
  'layers',
  'normOffset',
  'weightScales',
] as const satisfies readonly (keyof ModelSpec)[];
type AlwaysSaid = (typeof ALWAYS_SAID)[number];

const PLAIN_MODEL: Omit<ModelSpec, AlwaysSaid> = UNSCALED;

/** Fields of a model that change its numbers, other than the `said` ones: scaled embeddings, logits … */
export const modelMisfit = (spec: ModelSpec, said: readonly (keyof typeof PLAIN_MODEL)[] = []): Misfit =>
  differsFrom(spec, PLAIN_MODEL, [...ALWAYS_SAID, ...said]);

const PLAIN_LAYER: Omit<LayerSpec, 'mixers' | 'feedForward'> = { norms: 'before' };

/** What the first layer that `check` finds something in cannot say; options of layers other than `said`. */
export function layerMisfit(
  { layers }: ModelSpec,
  check: (layer: LayerSpec, index: number) => Misfit,
  said: readonly (keyof LayerSpec)[] = [],
): Misfit {
  for (const [index, layer] of layers.entries()) {
    const reason =
      differsFrom({ ...PLAIN_LAYER, ...layer }, PLAIN_LAYER, ['mixers', 'feedForward', ...said]) ??
      check(layer, index);
    if (reason !== null) return `${reason} in layer ${index}`;
  }
  return null;
}

/** Rotary positions that no key says as they are. llama.cpp computes YaRN's factor from that of the context. */
export function ropeMisfit({ rope }: AttentionSpec): Misfit {
  const scaling = rope?.scaling;
  if (scaling?.kind !== 'yarn') return null;
  const { truncate, factor, attentionFactor } = scaling;
  if (!truncate) return 'YaRN that is not truncated';
  return Math.abs(attentionFactor - yarnAttentionFactor(factor)) < 1e-6
    ? null
    : `YaRN with the attention factor ${attentionFactor}`;
}

/** Sizes for which an architecture has one key cannot differ between layers. */
export function uneven(values: readonly unknown[], what: string): Misfit {
  const found = new Set(values.map((value) => JSON.stringify(value)));
  return found.size > 1 ? `different ${what} in different layers` : null;
}

/** What llama.cpp's Mamba-1 does not read. */
export function mambaLimits(spec: ModelSpec): string[] {
  const some = (check: (mixer: MambaSpec) => boolean) => allOfKind(spec.layers, 'mamba').some(check);
  const notes: string[] = [];
  if (some((m) => m.innerSize !== 2 * spec.hiddenSize))
    notes.push('an inner size other than twice the hidden size, which llama.cpp refuses');
  if (some((m) => !m.convBias)) notes.push('no convolution bias, without which llama.cpp does not load it');
  if (some((m) => m.projectionBias)) notes.push('projection biases, which llama.cpp ignores');
  if (some((m) => m.innerNorms === 'plain' && m.innerNormEpsilon !== spec.normEpsilon))
    notes.push(
      'inner norms with an epsilon of their own, for which GGUF has no key: they get that of the layers',
    );
  return notes;
}

/** What no GGUF file can say about a Mamba-2 mixer. */
export function mamba2Misfit({ norm, normGroups, groups, stepLimits }: Mamba2Spec): Misfit {
  if (norm === 'beforeGate') return 'a norm before the gate';
  if (norm === 'afterGate' && normGroups !== groups)
    return `a norm of ${normGroups} slices for ${groups} groups`;
  const [least, most] = stepLimits;
  return least > 0 || most < Number.POSITIVE_INFINITY ? `steps kept between ${least} and ${most}` : null;
}

/** What llama.cpp's Mamba-2 does not read; some architectures want an inner size, some do without the norm. */
export function mamba2Limits(
  spec: ModelSpec,
  {
    twiceHidden = false,
    normless = false,
  }: { readonly twiceHidden?: boolean; readonly normless?: boolean } = {},
): string[] {
  const some = (check: (mixer: Mamba2Spec) => boolean) => allOfKind(spec.layers, 'mamba2').some(check);
  const notes: string[] = [];
  if (twiceHidden && some((m) => m.heads * m.headSize !== 2 * spec.hiddenSize))
    notes.push('an inner size other than twice the hidden size, which llama.cpp refuses');
  if (some((m) => !m.convBias))
    notes.push('no convolution bias, without which llama.cpp does not load it or writes nonsense');
  if (!normless && some((m) => m.norm === 'none'))
    notes.push('no norm after the gate, without which llama.cpp does not load it');
  if (some((m) => m.projectionBias)) notes.push('projection biases, with which llama.cpp does not load it');
  return notes;
}
