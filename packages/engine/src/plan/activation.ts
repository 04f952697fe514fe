// Activation functions of gated feed-forwards and gates, and their numbers in op records.

/**
 * What a gate passes through before the product: `gelu_tanh` is the approximation by tanh, `none` leaves a
 * plain product, and `relu` with one value as gate and input is the squared ReLU.
 */
export type Activation = 'silu' | 'gelu_tanh' | 'gelu' | 'none' | 'sigmoid' | 'relu';

export const ACTIVATION_ID = {
  silu: 0,
  gelu_tanh: 1,
  gelu: 2,
  none: 3,
  sigmoid: 4,
  relu: 5,
} as const satisfies Record<Activation, number>;
