// Activation functions of gated feed-forwards, and their numbers in op records.

/** The activation of a gated feed-forward; `gelu_tanh` is the approximation by tanh. */
export type Activation = 'silu' | 'gelu_tanh' | 'gelu';

export const ACTIVATION_ID = { silu: 0, gelu_tanh: 1, gelu: 2 } as const satisfies Record<Activation, number>;
