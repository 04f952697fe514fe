// All kinds of layer. To add one: a file here, and its name in three lines below (see CONTRIBUTING.md).

import { type AttentionRole, type AttentionSpec, attention } from './attention.ts';
import { type DeltaNetRole, type DeltaNetSpec, deltaNet } from './delta-net.ts';
import { type DenseRole, type DenseSpec, dense } from './dense.ts';
import { type EmaRole, type EmaSpec, ema } from './ema.ts';
import { type ExpertsRole, type ExpertsSpec, experts } from './experts.ts';
import type { Layer } from './layer.ts';
import { type MambaRole, type MambaSpec, mamba } from './mamba.ts';
import { type Mamba2Role, type Mamba2Spec, mamba2 } from './mamba2.ts';
import { type ShortConvRole, type ShortConvSpec, shortConv } from './short-conv.ts';

/** A part that mixes positions, carrying a state from token to token. */
export type MixerSpec = MambaSpec | Mamba2Spec | AttentionSpec | DeltaNetSpec | EmaSpec | ShortConvSpec;
/** A part that works on each position alone. */
export type FeedForwardSpec = DenseSpec | ExpertsSpec;

/** What layers consist of. */
export type PartSpec = MixerSpec | FeedForwardSpec;
/** The name of a kind of part. */
export type LayerKind = PartSpec['kind'];
/** The sizes of a part of one kind. */
export type SpecOf<K extends LayerKind> = Extract<PartSpec, { kind: K }>;
export type LayerRole =
  | MambaRole
  | Mamba2Role
  | AttentionRole
  | DeltaNetRole
  | EmaRole
  | ShortConvRole
  | DenseRole
  | ExpertsRole;

/** A kind as loops see it, without its own roles. */
type AnyLayer<Spec> = Omit<Layer<Spec, LayerRole>, 'ownNames'> & {
  readonly ownNames: Readonly<Partial<Record<LayerRole, readonly string[]>>>;
};

export const MIXERS = { mamba, mamba2, attention, deltaNet, ema, shortConv } as const satisfies {
  [K in MixerSpec['kind']]: AnyLayer<SpecOf<K>>;
};
export const FEED_FORWARDS = { dense, experts } as const satisfies {
  [K in FeedForwardSpec['kind']]: AnyLayer<SpecOf<K>>;
};
export const LAYERS = { ...MIXERS, ...FEED_FORWARDS } as const;

/** The kind of a part. */
export const layerOf = (part: PartSpec): AnyLayer<PartSpec> => LAYERS[part.kind];

/** The words of `layer_types` in this project's own form, by the letter of patterns. */
export const MIXER_WORDS: Readonly<Record<string, string>> = Object.assign(
  {},
  ...Object.values(MIXERS).map(({ ownWords }) => ownWords),
);
