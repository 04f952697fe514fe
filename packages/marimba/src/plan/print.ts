// A plan for people: the table of memory, its curves, the table of speeds, and what stands in the way.
import { type Curve, drawCurves } from '../describe/curves.ts';
import { spreadText } from '../describe/needs.ts';
import { bold, bytes, dim, fitTable, table, threeDigits, tokens, yellow } from '../terminal.ts';
import { wrapText } from '../wrap.ts';
import type { Plan, PlannedModel } from './run.ts';

export const curvesOf = ({ models }: Plan): Curve[] =>
  models.map(({ name, memory }) => ({
    name,
    points: memory.map(({ context, totalBytes }) => ({ x: context, y: totalBytes })),
  }));

export function formatPlan(plan: Plan): string {
  const [first, second] = plan.models;
  const sections = [
    heading(plan),
    `${bold('Memory')}\n${memoryTable(first!, second)}\n${machineLine(plan)}`,
    drawCurves(curvesOf(plan)),
    speedSection(plan),
    ...plan.models.flatMap((model) => notes(model, plan.models[0]!)),
  ];
  return `${sections.filter(Boolean).join('\n\n')}\n`;
}

function heading({ models: [first, second], cacheType }: Plan): string {
  const one = wrapText(`${bold(first!.name)} ${dim(`(weights ${first!.weights}; cache ${cacheType})`)}`);
  if (!second) return one;
  return `${one}\n${wrapText(`${dim('other:')} ${second.name} ${dim(`(weights ${second.weights})`)}`)}`;
}

function memoryTable(first: PlannedModel, second: PlannedModel | undefined): string {
  const titles = ['context', 'weights', 'state', 'cache', 'total'];
  const others = second ? ['other total', 'other ÷ this'] : [];
  const rows = first.memory.map((m, i) => {
    const theirs = second?.memory[i];
    return [
      tokens(m.context),
      bytes(m.weightBytes),
      bytes(m.recurrentBytes),
      bytes(m.cacheBytes),
      bytes(m.totalBytes),
      ...(theirs ? [bytes(theirs.totalBytes), `${(theirs.totalBytes / m.totalBytes).toFixed(2)}×`] : []),
    ];
  });
  // Weights and state are the same in every row: what a narrow terminal has no room for.
  return fitTable([[...titles, ...others].map((title) => dim(title)), ...rows], [1, 2, 3]);
}

function machineLine({ memory: { totalBytes, freeBytes } }: Plan): string {
  const free = freeBytes < totalBytes ? `${bytes(freeBytes)} free of ` : '';
  return `  ${dim(`this machine: ${free}${bytes(totalBytes)}`)}`;
}

function speedSection({ machine, models: [first, second] }: Plan): string {
  if (!machine) return '';
  const rows = first!.speed.map((s, i) => {
    const theirs = second?.speed[i];
    return [
      tokens(s.context),
      threeDigits(s.decodeTokensPerSecond),
      threeDigits(s.promptTokensPerSecond),
      ...(theirs
        ? [threeDigits(theirs.decodeTokensPerSecond), threeDigits(theirs.promptTokensPerSecond)]
        : []),
    ];
  });
  const titles = ['at', 'decode', 'prompt', ...(second ? ['other decode', 'other prompt'] : [])];
  const limits = `${threeDigits(machine.bytesPerSecond / 1e9)} GB/s and ${threeDigits(machine.macsPerSecond / 1e9)} GMAC/s`;
  return (
    `${bold('Speed')}\n${wrapText(dim(`tokens/s that ${limits} allow at most; real runs are slower`), undefined, '  ')}\n` +
    table([titles.map((title) => dim(title)), ...rows])
  );
}

function notes(model: PlannedModel, first: PlannedModel): string[] {
  const { name, cannotRun, downloadBytes, contextLength, memory, spread } = model;
  const longest = memory.at(-1)!.context;
  const lines: string[] = [];
  if (spread && spread.arenas.length > 1 && model === first)
    lines.push(
      wrapText(
        `${name} takes ${spreadText(spread)}, each with its part of ${tokens(spread.sessionTokens)} tokens.`,
      ),
    );
  if (cannotRun) {
    const where =
      cannotRun.fromContext === memory[0]!.context ? '' : ` at ${tokens(cannotRun.fromContext)} tokens`;
    lines.push(wrapText(yellow(`${name}${where} ${cannotRun.reason}.`)));
  }
  if (downloadBytes !== null)
    lines.push(
      wrapText(
        dim(
          `${name}: a repository of 16-bit weights downloads ${bytes(downloadBytes)}; ` +
            `in memory they take ${bytes(memory[0]!.weightBytes)}.`,
        ),
      ),
    );
  if (contextLength < longest && (model === first || contextLength !== first.contextLength))
    lines.push(
      wrapText(
        dim(`${name} was made for ${tokens(contextLength)} tokens; beyond that these are sizes only.`),
      ),
    );
  return lines;
}
