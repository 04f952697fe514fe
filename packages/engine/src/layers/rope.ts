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
  /** YaRN (Peng et al. 2023). */
  | {
      readonly kind: 'yarn';
      /** Divides the frequencies that turn fewer than `betaSlow` times in the original context. */
      readonly factor: number;
      /** Tokens of the context before it was stretched. */
      readonly originalContextLength: number;
      /** Frequencies that turn more often than this stay; those between are interpolated. */
      readonly betaFast: number;
      /** Frequencies that turn less often are divided by the whole factor. */
      readonly betaSlow: number;
      /** The range between both ends at whole dimensions. */
      readonly truncate: boolean;
      /** Multiplies rotated queries and keys. */
      readonly attentionFactor: number;
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
      case 'yarn':
        return yarnFrequency(i, rope, scaling);
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

/** What rotated queries and keys are multiplied by. */
export const ropeAttentionScale = ({ scaling }: RopeSpec): number =>
  scaling?.kind === 'yarn' ? scaling.attentionFactor : 1;

/** The `attentionFactor` of YaRN where files do not say another; `weight`: of the logarithm (mscale). */
export const yarnAttentionFactor = (factor: number, weight = 1): number =>
  factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1;

/** Blends from the frequency to its share as dimensions go from `betaFast` turns to `betaSlow`. */
function yarnFrequency(
  i: number,
  { theta, rotary }: RopeSpec,
  scaling: Extract<RopeScaling, { kind: 'yarn' }>,
): number {
  /** The dimension that turns so many times in the original context. */
  const dimension = (turns: number) =>
    (rotary * Math.log(scaling.originalContextLength / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [fast, slow] = [dimension(scaling.betaFast), dimension(scaling.betaSlow)];
  const low = Math.max(scaling.truncate ? Math.floor(fast) : fast, 0);
  const high = Math.min(scaling.truncate ? Math.ceil(slow) : slow, rotary - 1);
  const ramp = Math.min(1, Math.max(0, (i - low) / (high === low ? 0.001 : high - low)));
  const frequency = theta ** ((-2 * i) / rotary);
  return (frequency / scaling.factor) * ramp + frequency * (1 - ramp);
}
