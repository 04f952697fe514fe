// What a model is to the engine: sizes and a list of layers. Every family maps its configuration to this, and the one
// forward pass (forward.ts) reads it. Sizes are whole numbers that families have already checked.

export interface ModelSpec {
  /** The family's name: jamba, mamba, llama … */
  readonly family: string;
  readonly name: string;
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly normEpsilon: number;
  /** The output head reuses the embedding matrix. */
  readonly tiedHead: boolean;
  /** Embeddings are multiplied by this (Gemma: sqrt(hiddenSize)). */
  readonly embeddingScale: number;
  /** Longest context the model was made for, in tokens. */
  readonly contextLength: number;
  readonly beginToken: number | null;
  /** Generation ends at any of these. */
  readonly endTokens: readonly number[];
  readonly layers: readonly LayerSpec[];
}

export interface LayerSpec {
  readonly mixer: MambaSpec | AttentionSpec;
  readonly feedForward: DenseSpec | ExpertsSpec | null;
}

export interface MambaSpec {
  readonly kind: 'mamba';
  readonly innerSize: number;
  readonly stateSize: number;
  readonly convWidth: number;
  readonly dtRank: number;
  readonly convBias: boolean;
  readonly projectionBias: boolean;
  /** RMS norms on dt, B and C after x_proj: Jamba's have weights, FalconMamba's do not, Mamba has none. */
  readonly innerNorms: 'weighted' | 'plain' | 'none';
  readonly innerNormEpsilon: number;
}

export interface AttentionSpec {
  readonly kind: 'attention';
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  /** Each token sees the last `window` positions, itself included; null: all. */
  readonly window: number | null;
  readonly rope: RopeSpec | null;
  /** Biases on q, k and v; on the output projection. */
  readonly inputBias: boolean;
  readonly outputBias: boolean;
  /** RMS norm on every head of q and k before RoPE (Qwen 3, Gemma 3). */
  readonly headNorms: boolean;
}

export interface RopeSpec {
  readonly theta: number;
  /** Dimensions of each head that rotate, in halves. */
  readonly rotary: number;
  readonly scaling: RopeScaling | null;
}

export type RopeScaling =
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContextLength: number;
    }
  /** Divisors of each frequency as a tensor of the file (GGUF `rope_freqs.weight`). */
  | { readonly kind: 'tensor' };

export type Activation = 'silu' | 'gelu_tanh' | 'gelu';
/** The number in op records. */
export const ACTIVATION_ID = { silu: 0, gelu_tanh: 1, gelu: 2 } as const satisfies Record<Activation, number>;

export interface DenseSpec {
  readonly kind: 'dense';
  readonly size: number;
  readonly activation: Activation;
  readonly bias: boolean;
}

export interface ExpertsSpec {
  readonly kind: 'experts';
  readonly size: number;
  readonly count: number;
  readonly topK: number;
  /** Weights of the chosen experts are rescaled to sum to 1 (Mixtral); Jamba keeps the softmax's. */
  readonly renormalize: boolean;
  readonly activation: Activation;
}

/** One letter a layer: M mamba, A attention, W windowed attention; lower-case e after it where experts follow. */
export const layerStrip = (spec: ModelSpec): string =>
  spec.layers.map((l) => `${mixerLetter(l.mixer)}${l.feedForward?.kind === 'experts' ? 'e' : ''}`).join('');

const mixerLetter = (mixer: LayerSpec['mixer']): string =>
  mixer.kind === 'mamba' ? 'M' : mixer.window === null ? 'A' : 'W';
