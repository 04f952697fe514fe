// A study's folder after a run: report.html, results.csv, summary.json (rows and verdicts) beside results.jsonl.
import { join } from 'node:path';
import { writeWhole } from '../data/token-file.ts';
import { type ClaimVerdict, judgeClaims } from './claims.ts';
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
  return { rows, verdicts, reportPath };
}
