// The README beside a study's results: verdicts and numbers between two markers are the tool's, written anew
// each time; what people write around them stays.
import { type ClaimVerdict, judgeClaims } from './claims.ts';
import { bytesToDecode } from './costs.ts';
import { short } from './plots.ts';
import type { CellResult } from './results.ts';
import type { Study } from './study.ts';
import { type SummaryRow, spread, summarise } from './summary.ts';

const BEGIN = '<!-- written by marimba ablate: what is changed here is lost -->';
const END = '<!-- end -->';

/** `before`: the README that is there; empty: none. */
export function studyReadme(study: Study, results: ReadonlyMap<string, CellResult>, before: string): string {
  const rows = summarise(study, results);
  const written = [BEGIN, claimsPart(judgeClaims(study, results)), numbersPart(rows), END].join('\n\n');
  const [from, to] = [before.indexOf(BEGIN), before.indexOf(END)];
  if (from >= 0 && to > from) return before.slice(0, from) + written + before.slice(to + END.length);
  const opening = before.trim() || [`# ${study.title}`, study.about ?? ''].join('\n\n').trim();
  return `${opening}\n\n${written}\n`;
}

function claimsPart(verdicts: readonly ClaimVerdict[]): string {
  if (!verdicts.length) return '';
  const list = verdicts.map(({ claim, verdict, parts }) => {
    const lines = parts.map((p) => {
      const { model, than } = p.values;
      const values =
        model === null || than === null ? '' : `${model.toFixed(3)} against ${than.toFixed(3)}; `;
      return `- ${p.verdict}: ${p.text}: ${values}${p.reason}`;
    });
    return `### (${claim.id}) ${claim.statement}\n\n**${verdict}** (${claim.source})\n\n${lines.join('\n')}`;
  });
  return `## Claims\n\nDifferences: mean over seeds and its 95 % interval, larger is better.\n\n${list.join('\n\n')}`;
}

function numbersPart(rows: readonly SummaryRow[]): string {
  const context = rows[0]?.cost.contexts.at(-1);
  const head = [
    'task',
    'model',
    'layers',
    'quality',
    'seeds',
    'chance',
    'parameters',
    'training operations',
    ...(context
      ? [`bytes to decode at ${short(context.context)}`, `state and cache at ${short(context.context)}`]
      : []),
  ];
  const lines = rows.map((r) => {
    const at = r.cost.contexts.at(-1);
    return [
      r.task,
      r.model,
      `\`${r.layers}\``,
      `${r.metric} ${spread(r.quality)}`,
      `${r.quality.count}`,
      r.chance === null ? '' : r.chance.toFixed(3),
      short(r.parameters),
      short(r.trainingFlops),
      ...(at ? [`${short(bytesToDecode(r.cost, at))}B`, `${short(r.cost.stateBytes + at.cacheBytes)}B`] : []),
    ];
  });
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return ['## Numbers\n', row(head), row(head.map(() => '---')), ...lines.map(row)].join('\n');
}
