// The damage report for people: tensors by kind and format, the worst ones by name, the whole model, what to
// do.
import type { QuantizeReport, TensorDamage } from '@marimba/engine/node';
import { bold, bytes, cyan, dim, duration, table, threeDigits, yellow } from '../terminal.ts';

/** Tensors that are listed by name. */
const WORST = 8;

export function formatQuantizeReport(report: QuantizeReport): string {
  const { output, byteLength, sourceBytes, bitsPerWeight, writeMs } = report;
  const sections = [
    `${bold('Wrote')} ${output}\n  ${bytes(sourceBytes)} → ${bytes(byteLength)}, ` +
      `${bitsPerWeight.toFixed(2)} bits per weight, ${report.architecture}, in ${duration(writeMs)}`,
    byKind(report.tensors),
    worst(report.tensors),
    wholeModel(report),
    ...report.warnings.map(
      ({ message, keep }) =>
        `${yellow('Warning:')} ${message}${keep ? `\n  Try ${cyan(`--keep ${keep}`)}` : ''}`,
    ),
    report.notes.map((note) => `${dim('Note:')} ${note}`).join('\n'),
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

/** Tensors of one kind and format share a line: a model has hundreds. */
function byKind(tensors: readonly TensorDamage[]): string {
  const groups = new Map<string, TensorDamage[]>();
  for (const tensor of tensors) {
    const key = `${kindOf(tensor.name)} ${tensor.sourceType} ${tensor.type}`;
    groups.set(key, [...(groups.get(key) ?? []), tensor]);
  }
  const rows = [...groups.values()]
    .filter(([first]) => first!.relativeError > 0 || first!.sourceType !== first!.type)
    .map((group) => {
      const { name, sourceType, type } = group[0]!;
      const error = Math.sqrt(group.reduce((sum, t) => sum + t.relativeError ** 2, 0) / group.length);
      return [
        kindOf(name),
        `${group.length}`,
        `${sourceType} → ${type}`,
        bytes(group.reduce((sum, t) => sum + t.byteLength, 0)),
        percent(error),
        percent(Math.max(...group.map((t) => t.relativeError))),
      ];
    });
  if (!rows.length) return 'No tensor changed its format.';
  const heading = ['tensors', 'count', 'format', 'size', 'error', 'worst'].map((title) => dim(title));
  return `${bold('Error')} ${dim('root mean square, as a share of the weights’ own')}\n${table([heading, ...rows])}`;
}

const kindOf = (name: string): string => name.replace(/^blk\.\d+\./, '');

function worst(tensors: readonly TensorDamage[]): string {
  const list = tensors
    .filter((tensor) => tensor.relativeError > 0)
    .sort((a, b) => b.relativeError - a.relativeError)
    .slice(0, WORST);
  if (list.length < 2) return '';
  const rows = list.map(({ name, type, relativeError, maxError }) => [
    name,
    type,
    percent(relativeError),
    `${threeDigits(maxError)} ×`,
  ]);
  const heading = ['largest errors', 'format', 'error', 'largest single'].map((title) => dim(title));
  return table([heading, ...rows]);
}

function wholeModel({ damage }: QuantizeReport): string {
  if (!damage) return '';
  const against = damage.comparedWith === 'original' ? 'the original' : 'the original at 8 bits';
  const rows = [
    ['mean KL divergence', `${figure(damage.meanKl)} nats`],
    ['99th percentile, largest', `${figure(damage.p99Kl)}, ${figure(damage.maxKl)} nats`],
    ['same likeliest token', percent(damage.topAgreement)],
    ...(damage.perplexity
      ? [
          [
            'perplexity',
            `${threeDigits(damage.perplexity.original)} → ${threeDigits(damage.perplexity.quantised)}`,
          ],
        ]
      : []),
  ];
  const subject = {
    text: 'tokens of the text',
    passage: 'tokens of the built-in passage',
    'random tokens': 'random tokens',
  }[damage.input];
  return `${bold('Whole model')} ${dim(`against ${against}, ${damage.positions} ${subject}`)}\n${table(rows)}`;
}

const figure = (value: number): string =>
  value === 0 ? '0' : value < 1e-3 ? value.toExponential(1) : value.toPrecision(3);

const percent = (share: number): string => {
  const value = share * 100;
  return `${value === 0 || value >= 99.95 ? value.toFixed(0) : value < 0.1 ? value.toPrecision(1) : threeDigits(value)} %`;
};
