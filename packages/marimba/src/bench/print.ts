// The result of `marimba bench` for people.
import type { OpProfile } from '@marimba/engine/measure';
import {
  bold,
  bytes,
  dim,
  duration,
  fitTable,
  table,
  terminalWidth,
  textWidth,
  threeDigits,
  tokens,
} from '../terminal.ts';
import { wrapText } from '../wrap.ts';
import type { BenchResult, Phase } from './measure.ts';

/** Lines of a profile that are shown; what is left is one line. */
const PROFILE_LINES = 12;

export function formatBench(result: BenchResult): string {
  const { options } = result;
  const at = options.depth > 0 ? ` at ${tokens(options.depth)} tokens of context` : '';
  const together = options.sessions > 1 ? `, ${options.sessions} sessions at once` : '';
  const limit = result.readLimitBytesPerSecond;
  return [
    bold(result.model),
    note(result.backend),
    '',
    figures([
      [
        'load',
        duration(result.loadMs),
        dim(`first token of a cold start after ${duration(result.loadToFirstTokenMs)}`),
      ],
      ['', '', dim(loadParts(result))],
      [
        'memory',
        bytes(result.residentBytes),
        dim(`peak ${bytes(result.peakResidentBytes)}, weights ${bytes(result.weightBytes)}`),
      ],
      [
        'memory reads',
        `${threeDigits(limit.median / 1e9)} GB/s`,
        dim(`the limit; ${threeDigits(limit.min / 1e9)} to ${threeDigits(limit.max / 1e9)}`),
      ],
      [
        'products',
        `${threeDigits(result.byteProductsPerSecond / 1e9)} GMAC/s`,
        dim(`of bytes, the limit; ${threeDigits(result.floatProductsPerSecond / 1e9)} of f32`),
      ],
      [`prompt, ${options.prompt} tokens${at}`, ...phaseCells(result.prompt)],
      [`decode, ${options.new} tokens${at}${together}`, ...phaseCells(result.decode)],
    ]),
    '',
    bold('Where the prompt’s time goes'),
    formatProfile(result.prompt.profile),
    '',
    bold('Where decoding’s time goes'),
    formatProfile(result.decode.profile),
    '',
    note(
      `A decoding step reads ${bytes(result.bytesPerDecodeStep)}: ` +
        `${percent(result.decode.shareOfReadLimit)} of the speed at which memory alone could be read.`,
    ),
    note(
      'With every op at its limit, of reads or of products, a prompt would take ' +
        `${percent(result.prompt.shareOfLimits)} of its time, decoding ${percent(result.decode.shareOfLimits)}.`,
    ),
  ].join('\n');
}

const note = (text: string): string => wrapText(dim(text));

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;

function loadParts({ load, weightBytes }: BenchResult): string {
  const speed = `${threeDigits(weightBytes / load.weightsMs / 1e6)} GB/s`;
  const faults = load.pageFaults > 0 ? `, ${load.pageFaults.toLocaleString('en')} page faults` : '';
  return (
    `files ${duration(load.openMs)}, threads ${duration(load.threadsMs)}, weights ${duration(load.weightsMs)} (${speed}; ` +
    `vocabulary meanwhile ${duration(load.vocabularyMs)})${faults}`
  );
}

/** Rows of name, figure and explanation; the explanation is left-aligned, or below where there is no room. */
function figures(rows: readonly (readonly [name: string, figure: string, rest: string])[]): string {
  const lines = table(rows.map(([name, figure]) => [name, figure])).split('\n');
  const room = process.stdout.isTTY ? terminalWidth() : Number.POSITIVE_INFINITY;
  return lines
    .map((line, i) => {
      const rest = rows[i]![2];
      if (textWidth(line) + 2 + textWidth(rest) <= room) return `${line}  ${rest}`;
      const below = wrapText(rest, room, '      ');
      return line.trim() ? `${line}\n${below}` : below;
    })
    .join('\n');
}

function phaseCells(phase: Phase): [figure: string, rest: string] {
  const { min, median, max } = phase.tokensPerSecond;
  return [
    `${threeDigits(median)} tokens/s`,
    dim(
      `${threeDigits(min)} to ${threeDigits(max)}; ${threeDigits(phase.gigabytesPerSecond)} GB/s, ` +
        `${threeDigits(phase.gigamacsPerSecond)} GMAC/s`,
    ),
  ];
}

function formatProfile(profile: readonly OpProfile[]): string {
  if (profile.length === 0) return dim('  this backend keeps no times');
  const shown = profile.slice(0, PROFILE_LINES);
  const rest = profile.slice(PROFILE_LINES);
  const rows = shown.map((line) => [
    `${line.layer} ${line.kind}${line.shape ? ` ${line.shape}` : ''}${line.ops > 1 ? ` ×${line.ops}` : ''}`,
    `${threeDigits(line.elapsedMs)} ms`,
    `${(line.share * 100).toFixed(1)} %`,
    `${threeDigits(line.gigabytesPerSecond)} GB/s`,
    `${threeDigits(line.gigamacsPerSecond)} GMAC/s`,
    line.leastMs > 0 ? `${percent(line.leastMs / line.elapsedMs)} of limit` : '',
    line.megaExponentialsPerSecond > 0 ? `${threeDigits(line.megaExponentialsPerSecond)} Mexp/s` : '',
  ]);
  if (rest.length > 0) {
    const ms = rest.reduce((sum, line) => sum + line.elapsedMs, 0);
    const share = rest.reduce((sum, line) => sum + line.share, 0);
    rows.push([dim(`${rest.length} others`), `${threeDigits(ms)} ms`, `${(share * 100).toFixed(1)} %`]);
  }
  return fitTable(rows, [6, 4, 3, 1]);
}
