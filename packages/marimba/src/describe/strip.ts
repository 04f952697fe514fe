// A model's layers as a strip of letters: one row of mixers and, where a model has experts, one of feed-forwards.
import type { LayerSpec, ModelSpec } from '@marimba/engine';
import { blue, dim, green, magenta, terminalWidth, yellow } from '../terminal.ts';

const mixer = ({ mixer: m }: LayerSpec): string =>
  m.kind === 'mamba' ? green('M') : m.window === null ? magenta('A') : blue('W');

const feedForward = ({ feedForward: f }: LayerSpec): string =>
  f === null ? dim('–') : f.kind === 'experts' ? yellow('E') : dim('·');

/** Lines of the strip, wrapped to the terminal in groups of eight layers. */
export function drawStrip(spec: ModelSpec, indent = '  '): string[] {
  const group = 8;
  const perLine = Math.max(group, Math.floor((terminalWidth() - indent.length) / (group + 1)) * group);
  const routed = spec.layers.some((layer) => layer.feedForward?.kind === 'experts');
  const lines: string[] = [];
  for (let from = 0; from < spec.layers.length; from += perLine) {
    const layers = spec.layers.slice(from, from + perLine);
    const row = (letter: (layer: LayerSpec) => string) =>
      indent +
      layers
        .map((layer, i) => letter(layer) + (i % group === group - 1 ? ' ' : ''))
        .join('')
        .trimEnd();
    lines.push(row(mixer));
    if (routed) lines.push(row(feedForward));
  }
  return lines;
}

/** "26 Mamba, 2 attention": only what occurs. */
export function countLayers(spec: ModelSpec): string {
  const of = (test: (layer: LayerSpec) => boolean) => spec.layers.filter(test).length;
  const counts: [number, string][] = [
    [of(({ mixer: m }) => m.kind === 'mamba'), `${green('M')} Mamba`],
    [of(({ mixer: m }) => m.kind === 'attention' && m.window === null), `${magenta('A')} attention`],
    [of(({ mixer: m }) => m.kind === 'attention' && m.window !== null), `${blue('W')} windowed attention`],
    [of(({ feedForward: f }) => f?.kind === 'experts'), `${yellow('E')} experts after it`],
  ];
  return counts
    .filter(([n]) => n > 0)
    .map(([n, name]) => `${n} ${name}`)
    .join('   ');
}
