// What a model is to the engine: sizes and a list of layers. Every family maps its configuration to this, and
// the one forward pass (runtime/forward.ts) reads it. Families have already checked the sizes.

import { ModelError } from '../errors.ts';
import {
  type FeedForwardSpec,
  type LayerKind,
  type LayerRole,
  layerOf,
  type MixerSpec,
  type PartSpec,
  type SpecOf,
} from '../layers/index.ts';

export type WeightScales = Readonly<
  Partial<Record<LayerRole, readonly (readonly [rows: number, factor: number])[]>>
>;

/** What a model is, as read from its files: sizes and a list of layers. */
export interface ModelSpec {
  /** The family's name: jamba, mamba, llama … */
  readonly family: string;
  /** `model_type` or `general.architecture` of its files: mistral, qwen3, falcon_mamba … */
  readonly name: string;
  /** Rows of the embedding, so token ids are below it. */
  readonly vocabularySize: number;
  /** Channels of the residual stream. */
  readonly hiddenSize: number;
  /** Epsilon of the norms. */
  readonly normEpsilon: number;
  /** The norms take the mean away, and may add a bias (LayerNorm); absent: RMS norms. */
  readonly layerNorm?: { readonly bias: boolean } | undefined;
  /** The output head reuses the embedding matrix. */
  readonly tiedHead: boolean;
  /** Has no head, so gives hidden states and no logits (encoders, embedders without their head). */
  readonly headless?: true | undefined;
  /** Of encoders of BERT's kind: what they do around their layers. */
  readonly encoder?: EncoderSpec | undefined;
  /** Embeddings are multiplied by this (Gemma: sqrt(hiddenSize)). */
  readonly embeddingScale: number;
  /** What layers add to the residual stream is multiplied by this (Granite). */
  readonly residualScale: number;
  /** Logits are multiplied by this (Granite: 1 / `logits_scaling`). */
  readonly logitScale: number;
  /**
   * Added to the weights of the norms around the layers' parts, of the last norm and of those on heads. 1
   * where files hold them zero-centred (Gemma, Qwen 3.5).
   */
  readonly normOffset: 0 | 1;
  /** Longest context the model was made for, in tokens. */
  readonly contextLength: number;
  /** Put in front of a text by models that want it; null where the files name none. */
  readonly beginToken: number | null;
  /** Generation ends at any of these. */
  readonly endTokens: readonly number[];
  /**
   * Factors that weights of every layer are multiplied by as they are read, by role: so many rows by so much,
   * from top to bottom (Falcon-H1's multipliers). Null: none.
   */
  readonly weightScales?: WeightScales | undefined;
  /** From the embedding to the head. */
  readonly layers: readonly LayerSpec[];
}

/** What an encoder of BERT's kind does around its layers. */
export interface EncoderSpec {
  /** Rows of the table of learned positions; 0 for none. */
  readonly positions: number;
  /** Rows of the table of token types; 0 for none. */
  readonly tokenTypes: number;
  /** A norm on what goes into the first layer. */
  readonly embeddingNorm: boolean;
  /** A norm after the last layer. */
  readonly finalNorm: boolean;
}

/**
 * Whether tokens see those behind them: a text is then read whole, in one pass, and nothing of it is kept.
 */
export const readsWhole = ({ encoder, layers }: Pick<ModelSpec, 'encoder' | 'layers'>): boolean =>
  encoder !== undefined ||
  layers.some(({ mixers }) => mixers.some((mixer) => mixer.kind === 'attention' && mixer.bidirectional));

/** Of models that scale nothing and whose norms multiply by their weights alone. */
export const UNSCALED = { embeddingScale: 1, residualScale: 1, logitScale: 1, normOffset: 0 } as const;

/** Where norms stand: on what a part reads, on its result before the sum, on both, or on the sum. */
export type NormPlaces = 'before' | 'after' | 'both' | 'onSum';

/**
 * One block: `hidden += sum of mixers(norm(hidden))`, then `hidden += feedForward(norm(hidden))`. Most blocks
 * have one mixer and a feed-forward, Mamba's only a mixer, Nemotron-H's one or the other, Falcon-H1's two
 * mixers side by side.
 */
export interface LayerSpec {
  /** Side by side on one norm. Empty: neither mixer nor its norm. */
  readonly mixers: readonly MixerSpec[];
  /** After the mixers, with a norm of its own. Null: neither feed-forward nor its norm. */
  readonly feedForward: FeedForwardSpec | null;
  /**
   * `after` (OLMo 2): `hidden += norm(part(hidden))`; `both` (Gemma 3): `hidden += norm(part(norm(hidden)))`.
   * `onSum` (BERT): `hidden = norm(hidden + part(hidden))`. Default `before`.
   */
  readonly norms?: NormPlaces;
  /** The mixers read the residual stream as it is, without the norm before them (ModernBERT's first layer). */
  readonly plainInput?: true;
}

/** What a layer consists of, in the order of the forward pass. */
export const partsOf = ({ mixers, feedForward }: LayerSpec): readonly PartSpec[] =>
  feedForward ? [...mixers, feedForward] : mixers;

/** The parts of one kind, in the order of the layers. */
export function allOfKind<K extends LayerKind>(layers: readonly LayerSpec[], kind: K): readonly SpecOf<K>[] {
  return layers.flatMap(partsOf).filter((part): part is SpecOf<K> => part.kind === kind);
}

export const hasKind = (layer: LayerSpec, kind: LayerKind): boolean =>
  partsOf(layer).some((part) => part.kind === kind);

/**
 * One letter per layer (`letter` in layers/): M Mamba, A attention, W windowed attention …, in parentheses where
 * several stand side by side, - for none; a lower-case e where experts follow.
 */
export const layerStrip = ({ layers }: Pick<ModelSpec, 'layers'>): string =>
  layers
    .map((layer) => mixerLetters(layer) + (layer.feedForward ? letterOf(layer.feedForward) : ''))
    .join('');

const letterOf = (part: PartSpec): string => layerOf(part).letter(part);

export function mixerLetters({ mixers }: LayerSpec): string {
  const letters = mixers.map(letterOf).join('');
  return letters.length > 1 ? `(${letters})` : letters || '-';
}

/**
 * How many experts each token passes through. The number of routed slots is one for a whole step, so all
 * routed layers must choose equally many; throws ModelError when they do not.
 */
export function expertsPerToken({ layers }: Pick<ModelSpec, 'layers'>): number {
  const counts = new Set(allOfKind(layers, 'experts').map(({ topK }) => topK));
  if (counts.size > 1)
    throw new ModelError(
      `model: experts per token: expected one number for all layers, found ${[...counts].join(', ')}`,
    );
  return [...counts][0] ?? 1;
}
