// What a conversation starts with: which model this is, drawn, and what it takes.
import type { Model } from '@marimba/engine';
import { cacheBytesPerToken } from '../describe/memory.ts';
import { countLayers, drawStrip } from '../describe/strip.ts';
import { bold, bytes, count, dim } from '../terminal.ts';

export function banner(model: Model): string {
  const { spec, weights, runtime } = model;
  const parameters = weights.list.reduce(
    (sum, { shape }) => sum + shape.reduce((product, d) => product * d, 1),
    0,
  );
  const perToken = cacheBytesPerToken(spec, runtime.layout.cacheType);
  const figures = [
    `${count(parameters)} parameters in ${bytes(weights.byteLength)}`,
    `state ${bytes(runtime.layout.recurrentBytes)}`,
    perToken > 0 ? `cache ${bytes(perToken)} a token` : 'no cache that grows',
  ];
  return [
    `${bold(model.name)}  ${dim(spec.family)}`,
    ...drawStrip(spec),
    `  ${countLayers(spec)}`,
    dim(`  ${figures.join(' · ')}`),
    dim(`  ${runtime.backend.description}`),
    '',
  ].join('\n');
}
