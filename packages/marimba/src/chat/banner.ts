// What a conversation starts with: which model this is, drawn, and what it takes.
import type { Model } from '@marimba/engine';
import { countLayers, drawStrip } from '../describe/strip.ts';
import { bold, bytes, count, dim } from '../terminal.ts';
import { wrapText } from '../wrap.ts';

export function banner(model: Model): string {
  const { spec } = model;
  const { parameters, backend } = model.describe();
  const { weightBytes, recurrentBytes, cacheBytesPerToken } = model.memory;
  const figures = [
    `${count(parameters)} parameters in ${bytes(weightBytes)}`,
    `state ${bytes(recurrentBytes)}`,
    cacheBytesPerToken > 0 ? `cache ${bytes(cacheBytesPerToken)} per token` : 'no cache that grows',
  ];
  return [
    `${bold(model.name)}  ${dim(spec.name)}`,
    ...drawStrip(spec),
    `  ${countLayers(spec)}`,
    wrapText(dim(figures.join(' · ')), undefined, '  '),
    wrapText(dim(backend), undefined, '  '),
    '',
  ].join('\n');
}
