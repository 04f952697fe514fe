// Rotary positions (Su et al. 2021): sizes, and inverse frequencies with the scalings that checkpoints ask
// for.

/** Rotary positions of an attention layer. */
export interface RopeSpec {
  /** Base of the frequencies. */
  readonly theta: number;
  /** Dimensions of each head that rotate, in halves. */
  readonly rotary: number;
  /** How frequencies are stretched for longer contexts; null: not at all. */
  readonly scaling: RopeScaling | null;
}

/** A rule that stretches rotary frequencies. */
export type RopeScaling =
  | {
      /** Tag of the union. */
      readonly kind: 'linear';
      /** Divides every frequency. */
      readonly factor: number;
    }
  /** Llama 3's, from its reference code (llama-models, 2024). */
  | {
      readonly kind: 'llama3';
      /** Divides the low frequencies. */
      readonly factor: number;
      /** Wavelengths above `originalContextLength` / this are divided by the whole factor. */
      readonly lowFrequencyFactor: number;
      /** Wavelengths below `originalContextLength` / this stay; those between are interpolated. */
      readonly highFrequencyFactor: number;
      /** Tokens of the context before it was stretched. */
      readonly originalContextLength: number;
    }
  /** Divisors of each frequency as a tensor of the file (GGUF `rope_freqs.weight`). */
  | { readonly kind: 'tensor' };

/** [rotary / 2]; `factors` are divisors from the file (scaling kind 'tensor'). */
export function ropeInverseFrequencies(rope: RopeSpec, factors: Float32Array | null): Float32Array {
  const { theta, rotary, scaling } = rope;
  return Float32Array.from({ length: rotary / 2 }, (_, i) => {
    const frequency = theta ** ((-2 * i) / rotary);
    if (!scaling) return frequency;
    switch (scaling.kind) {
      case 'tensor':
        return frequency / (factors?.[i] ?? 1);
      case 'linear':
        return frequency / scaling.factor;
      case 'llama3':
        return llama3Frequency(frequency, scaling);
      default:
        return scaling satisfies never;
    }
  });
}

/** Divides low frequencies by `factor`, keeps high ones, and blends between. */
function llama3Frequency(frequency: number, scaling: Extract<RopeScaling, { kind: 'llama3' }>): number {
  const wavelength = (2 * Math.PI) / frequency;
  const longest = scaling.originalContextLength / scaling.lowFrequencyFactor;
  const shortest = scaling.originalContextLength / scaling.highFrequencyFactor;
  if (wavelength < shortest) return frequency;
  if (wavelength > longest) return frequency / scaling.factor;
  const blend =
    (scaling.originalContextLength / wavelength - scaling.lowFrequencyFactor) /
    (scaling.highFrequencyFactor - scaling.lowFrequencyFactor);
  return ((1 - blend) * frequency) / scaling.factor + blend * frequency;
}
