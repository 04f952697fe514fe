// A study's folder after a run: report.html, results.csv, summary.json (rows and verdicts) and README.md
// beside results.jsonl.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from '../data/token-file.ts';
import { type ClaimVerdict, judgeClaims } from './claims.ts';
import { studyReadme } from './readme.ts';
import { studyReport } from './report.ts';
import type { CellResult } from './results.ts';
import type { Study } from './study.ts';
import { type SummaryRow, summarise, toCsv } from './summary.ts';

export interface StudySummary {
  readonly rows: readonly SummaryRow[];
  readonly verdicts: readonly ClaimVerdict[];
  readonly reportPath: string;
}

export async function writeStudyFiles(
  study: Study,
  results: ReadonlyMap<string, CellResult>,
  folder: string,
): Promise<StudySummary> {
  const rows = summarise(study, results);
  const verdicts = judgeClaims(study, results);
  const reportPath = join(folder, 'report.html');
  await writeWhole(reportPath, studyReport(study, results));
  await writeWhole(join(folder, 'results.csv'), toCsv(rows));
  await writeWhole(
    join(folder, 'summary.json'),
    `${JSON.stringify({ study: study.name, short: study.isShort, rows, verdicts }, null, 1)}\n`,
  );
  const readme = join(folder, 'README.md');
  await writeWhole(readme, studyReadme(study, results, await readFile(readme, 'utf8').catch(() => '')));
  return { rows, verdicts, reportPath };
}
