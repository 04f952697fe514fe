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

/** What `writeStudyFiles` wrote. */
export interface StudySummary {
  /** One per task and model that has a result. */
  readonly rows: readonly SummaryRow[];
  /** One per claim of the study. */
  readonly verdicts: readonly ClaimVerdict[];
  /** Path of report.html. */
  readonly reportPath: string;
}

/**
 * Writes report.html, results.csv, summary.json and README.md into a study's folder. Needs no finished study:
 * models and seeds without results are left out. Throws FormatError when the disk is full or not writable.
 */
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
