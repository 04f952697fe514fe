// Inverse frequencies of rotary positions, with the scalings that checkpoints ask for. Llama 3's rule is that of its
// reference code (llama-models, 2024): low frequencies are divided by `factor`, high ones kept, those between blended.
import type { RopeSpec } from './spec.ts';

/** [rotary / 2]; `factors` are divisors from the file (scaling kind 'tensor'). */
export function ropeInverseFrequencies(rope: RopeSpec, factors: Float32Array | null): Float32Array {
  const { theta, rotary, scaling } = rope;
  return Float32Array.from({ length: rotary / 2 }, (_, i) => {
    const frequency = theta ** ((-2 * i) / rotary);
    if (!scaling) return frequency;
    if (scaling.kind === 'tensor') return frequency / (factors?.[i] ?? 1);
    if (scaling.kind === 'linear') return frequency / scaling.factor;
    const wavelength = (2 * Math.PI) / frequency;
    const longest = scaling.originalContextLength / scaling.lowFrequencyFactor;
    const shortest = scaling.originalContextLength / scaling.highFrequencyFactor;
    if (wavelength < shortest) return frequency;
    if (wavelength > longest) return frequency / scaling.factor;
    const blend =
      (scaling.originalContextLength / wavelength - scaling.lowFrequencyFactor) /
      (scaling.highFrequencyFactor - scaling.lowFrequencyFactor);
    return ((1 - blend) * frequency) / scaling.factor + blend * frequency;
  });
}
