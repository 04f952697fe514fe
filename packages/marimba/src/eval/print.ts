// An evaluation for people: each model's suites, and how the second differs from the first.
import type { DivergenceReport, Share, SuiteComparison, SuiteSummary } from '@marimba/lab';
import { bold, dim, plural, table } from '../terminal.ts';
import type { EvalReport } from './run.ts';

/** For scripts. */
export const summaryOf = ({ first, second, comparison, divergence }: EvalReport) => ({
  model: first.model,
  suites: first.suites.map((s) => s.summary),
  ...(second
    ? { against: second.model, againstSuites: second.suites.map((s) => s.summary), comparison, divergence }
    : {}),
});

const percent = (value: number): string => `${(100 * value).toFixed(1)}%`;
const shareText = ({ value, low, high }: Share): string =>
  `${percent(value)} [${percent(low)}, ${percent(high)}]`;

export function formatEvaluation({ first, second, comparison, divergence }: EvalReport): string {
  const sections = [first, ...(second ? [second] : [])].map(({ model, suites }) =>
    [bold(model), ...suites.map(({ summary }) => formatSuite(summary))].join('\n\n'),
  );
  if (comparison.length) sections.push(formatComparison(comparison));
  if (divergence) sections.push(formatDivergence(divergence));
  return `${sections.join('\n\n')}\n`;
}

function formatComparison(comparison: readonly SuiteComparison[]): string {
  const rows = comparison.map(({ name, items, difference: d, mcNemar }) => [
    name,
    plural(items, 'item'),
    `${d.mean >= 0 ? '+' : ''}${d.mean.toFixed(4)} [${d.low.toFixed(4)}, ${d.high.toFixed(4)}]`,
    mcNemar
      ? `only first ${mcNemar.onlyFirst}, only second ${mcNemar.onlySecond}, p ${mcNemar.p.toPrecision(2)}`
      : '',
  ]);
  return `${bold('Second minus first, on the same items')}\n${table(rows)}`;
}

function formatSuite(s: SuiteSummary): string {
  const lines: string[][] = [];
  if (s.accuracy)
    lines.push([
      'accuracy',
      shareText(s.accuracy),
      s.chance === null ? '' : dim(`chance ${percent(s.chance)}`),
    ]);
  if (s.accuracyUnnormalised) lines.push(['without length normalisation', shareText(s.accuracyUnnormalised)]);
  if (s.whole && s.accuracy && s.whole.value !== s.accuracy.value)
    lines.push(['items all right', shareText(s.whole)]);
  const groups = Object.entries(s.groups);
  if (groups.length > 1) for (const [name, share] of groups) lines.push([`  ${name}`, shareText(share)]);
  if (s.effectiveLength !== null)
    lines.push([
      'effective length',
      s.effectiveLength ? `${s.effectiveLength} tokens` : 'none of those tested',
    ]);
  if (s.text) {
    const { loss, lossInterval, perplexity, bitsPerByte, tokens } = s.text;
    const interval = Number.isFinite(lossInterval.low)
      ? ` [${lossInterval.low.toFixed(4)}, ${lossInterval.high.toFixed(4)}]`
      : '';
    lines.push(
      ['loss', `${loss.toFixed(4)} nats per token${interval}`],
      ['perplexity', perplexity.toFixed(3)],
      ['bits per byte', bitsPerByte.toFixed(4)],
      ['tokens', `${tokens}`],
    );
  }
  return `${s.title} ${dim(`${s.name}, ${plural(s.items, 'item')}`)}\n${table(lines)}`;
}

function formatDivergence(d: DivergenceReport): string {
  const interval = Number.isFinite(d.divergenceInterval.high)
    ? ` [${d.divergenceInterval.low.toFixed(5)}, ${d.divergenceInterval.high.toFixed(5)}]`
    : '';
  return `${bold('Next-token distributions, second against first')}\n${table([
    ['mean KL divergence', `${d.meanDivergence.toFixed(5)} nats${interval}`],
    ['99th percentile, largest', `${d.percentile99.toFixed(4)}, ${d.largestDivergence.toFixed(4)}`],
    [
      'same likeliest token',
      `${percent(d.topAgreement.value)} [${percent(d.topAgreement.low)}, ${percent(d.topAgreement.high)}]`,
    ],
    ['loss, first and second', `${d.losses[0].toFixed(4)}, ${d.losses[1].toFixed(4)} nats per token`],
    ['positions', `${d.positions}`],
  ])}`;
}
