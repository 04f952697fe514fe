// A model's layers as a strip of letters: one row of mixers and, where a model has experts, one of
// feed-forwards.
import type { LayerSpec, ModelSpec } from '@marimba/engine';
import { layerOf, mixerLetters, partsOf } from '@marimba/engine/architecture';
import { blue, dim, green, magenta, terminalWidth, yellow } from '../terminal.ts';

/** By letter; other letters stay as they are. */
const COLOURS: Readonly<Record<string, (text: string) => string>> = {
  M: green,
  A: magenta,
  W: blue,
  e: yellow,
};

const coloured = (letters: string): string =>
  [...letters].map((letter) => (COLOURS[letter] ?? dim)(letter)).join('');

/** E for experts, a dot for any other feed-forward, a dash for none. */
const feedForwardLetter = ({ feedForward }: LayerSpec): string => {
  if (!feedForward) return dim('–');
  const letter = layerOf(feedForward).letter(feedForward);
  return letter ? (COLOURS[letter] ?? dim)(letter.toUpperCase()) : dim('·');
};

/** Lines of the strip, wrapped to the terminal in groups of eight layers. */
export function drawStrip(spec: ModelSpec, indent = '  '): string[] {
  const group = 8;
  const perLine = Math.max(group, Math.floor((terminalWidth() - indent.length) / (group + 1)) * group);
  const routed = spec.layers.some(
    ({ feedForward }) => feedForward && layerOf(feedForward).letter(feedForward),
  );
  const lines: string[] = [];
  for (let from = 0; from < spec.layers.length; from += perLine) {
    const layers = spec.layers.slice(from, from + perLine);
    const row = (letter: (layer: LayerSpec) => string) =>
      indent +
      layers
        .map((layer, i) => letter(layer) + (i % group === group - 1 ? ' ' : ''))
        .join('')
        .trimEnd();
    lines.push(row((layer) => coloured(mixerLetters(layer))));
    if (routed)
      lines.push(row((layer) => feedForwardLetter(layer) + ' '.repeat(mixerLetters(layer).length - 1)));
  }
  return lines;
}

/**
 * "26 M Mamba   2 A attention": only what occurs, in the order of appearance; plain feed-forwards go unsaid.
 */
export function countLayers(spec: ModelSpec): string {
  const counts = new Map<string, number>();
  for (const { mixers, feedForward } of spec.layers) {
    for (const part of partsOf({ mixers, feedForward })) {
      const letter = layerOf(part).letter(part);
      if (!letter) continue;
      const behind = part === feedForward ? ' after it' : '';
      const name = `${(COLOURS[letter] ?? dim)(letter.toUpperCase())} ${layerOf(part).title(part)}${behind}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  return [...counts].map(([name, n]) => `${n} ${name}`).join('   ');
}
