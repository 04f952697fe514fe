// Ready-made axes: lists of models that differ in one choice only. A study concatenates those it wants;
// models with the same layers and sizes are trained once, whatever they are called (see cells.ts).
import type { ModelSizes, StudyModel } from './model.ts';

const place = (count: number, where: string) =>
  where === 'spread'
    ? `${count} spread`
    : where === 'middle'
      ? `${count} in the middle`
      : `${count} at the ${where}`;

/** Share of attention layers: none, 1:16, 1:8, 1:4, 1:2, all; those that the depth can express. */
export function attentionShares(
  depth: number,
  shares: readonly string[] = ['none', '1:16', '1:8', '1:4', '1:2', 'all'],
): StudyModel[] {
  return shares.flatMap((share): StudyModel[] => {
    const named = {
      name: share === 'none' ? 'Mamba' : share === 'all' ? 'attention' : `attention ${share}`,
      axes: { 'share of attention': share },
    };
    if (share === 'none' || share === 'all') return [{ ...named, layers: share }];
    const period = Number(share.split(':')[1]);
    return depth % period === 0 ? [{ ...named, layers: `every ${period}, in the middle` }] : [];
  });
}

/** The same number of attention layers at the start, in the middle, at the end, or spread over the stack. */
export function attentionPlaces(
  count: number,
  places: readonly string[] = ['start', 'middle', 'end', 'spread'],
): StudyModel[] {
  return places.map((where) => ({
    name: `${count} attention, ${where}`,
    layers: place(count, where),
    axes: { 'place of attention': where },
  }));
}

/** What tables call the mixers, by their letters. */
const MIXER_NAMES: Readonly<Record<string, string>> = {
  M: 'Mamba',
  S: 'Mamba-2',
  D: 'gated DeltaNet',
  C: 'short convolution',
  V: 'moving average',
  W: 'windowed attention',
  A: 'attention',
};

/**
 * A stack of each mixer, by its letter. With `period`, an attention layer in the middle of every so many; with
 * `rope`, positions of this base wherever there is attention, of which recurrences need none.
 */
export function mixers(
  depth: number,
  letters: readonly string[] = ['M', 'S', 'D', 'C', 'W', 'A'],
  options: { readonly period?: number; readonly rope?: number } = {},
): StudyModel[] {
  const { period, rope } = options;
  return letters.map((letter): StudyModel => {
    const name = MIXER_NAMES[letter] ?? letter;
    const layers = period
      ? Array.from({ length: depth }, (_, i) => (i % period === Math.floor(period / 2) ? 'A' : letter)).join(
          '',
        )
      : letter.repeat(depth);
    return {
      name: period ? `${name}, attention 1:${period}` : name,
      layers,
      ...(rope && /[AW]/.test(layers) ? { rope } : {}),
      axes: { mixer: name, 'share of attention': period ? `1:${period}` : letter === 'A' ? 'all' : 'none' },
    };
  });
}

/** Every attention layer of a letter pattern full, or windowed with each of these widths. */
export function windows(pattern: string, widths: readonly number[]): StudyModel[] {
  return [
    { name: 'full attention', layers: pattern, axes: { window: 'full' } },
    ...widths.map((window) => ({
      name: `window ${window}`,
      layers: pattern.replaceAll('A', 'W'),
      window,
      axes: { window: `${window}` },
    })),
  ];
}

/**
 * All-attention stacks by windowed layers per full one: "0:1" is all full, "1:0" all windowed.
 */
export function localToGlobal(
  depth: number,
  mixes: readonly string[] = ['0:1', '1:1', '3:1', '1:0'],
): StudyModel[] {
  return mixes.flatMap((mix): StudyModel[] => {
    const [local, global] = mix.split(':').map(Number) as [number, number];
    if (depth % (local + global)) return [];
    const unit = 'W'.repeat(local) + 'A'.repeat(global);
    return [
      {
        name: `local:global ${mix}`,
        layers: `${unit}*${depth / unit.length}`,
        axes: { 'local:global': mix },
      },
    ];
  });
}

/** A letter pattern dense, and with experts in every second layer (Jamba's layout). */
export function expertsOrDense(pattern: string, sizes: { experts: number; topK: number }): StudyModel[] {
  const routed = [...pattern].map((letter, i) => (i % 2 === 1 ? `${letter}e` : letter)).join('');
  return [
    { name: 'dense', layers: pattern, axes: { 'feed-forward': 'dense' } },
    {
      name: `${sizes.experts} experts`,
      layers: routed,
      ...sizes,
      axes: { 'feed-forward': `${sizes.experts} experts, top ${sizes.topK}` },
    },
  ];
}

/** Mamba layers with and without RMS norms on dt, B and C. */
export const innerNorms = (layers: string): StudyModel[] =>
  [true, false].map((on) => ({
    name: `inner norms ${on ? 'on' : 'off'}`,
    layers,
    innerNorms: on,
    axes: { 'inner norms': on ? 'on' : 'off' },
  }));

/** Attention without positions, and with RoPE of base `theta` (default 10,000). */
export const positions = (layers: string, theta = 10_000): StudyModel[] =>
  [null, theta].map((rope) => ({
    name: rope ? 'RoPE' : 'no positions',
    layers,
    rope,
    axes: { positions: rope ? 'RoPE' : 'none' },
  }));

/** Mamba layers with these numbers of states per channel. */
export const stateSizes = (layers: string, sizes: readonly number[]): StudyModel[] =>
  sizes.map((state) => ({ name: `state ${state}`, layers, state, axes: { 'state size': `${state}` } }));

/** Heads of different sizes at the same width, and fewer KV heads where given. */
export const headSizes = (
  layers: string,
  hidden: number,
  list: readonly Pick<ModelSizes, 'heads' | 'kvHeads'>[],
): StudyModel[] =>
  list.map(({ heads, kvHeads = heads }) => ({
    name: `${heads} heads, ${kvHeads} KV`,
    layers,
    heads,
    kvHeads,
    headSize: hidden / heads,
    axes: { heads: `${heads}/${kvHeads}` },
  }));
