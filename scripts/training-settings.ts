// The table of settings in docs/training.md, from the code that reads them. `node
// scripts/training-settings.ts` writes it; a test compares, so that it cannot go stale.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { RUN_SETTINGS } from '@marimba/lab/tools';

const PAGE = fileURLToPath(new URL('../docs/training.md', import.meta.url));
const [BEGIN, END] = [
  '<!-- settings: written by scripts/training-settings.ts -->',
  '<!-- end of settings -->',
];

function settingsTable(): string {
  const rows = Object.entries(RUN_SETTINGS).map(([name, { fallback, meaning }]) => {
    const shown = typeof fallback === 'number' ? `${fallback}` : JSON.stringify(fallback);
    return `| \`${name}\` | \`${shown}\` | ${meaning} |`;
  });
  return ['| | default | |', '|---|---|---|', ...rows].join('\n');
}

/** The page as it is, and as it should be. */
export function trainingPage(): { readonly found: string; readonly expected: string } {
  const found = readFileSync(PAGE, 'utf8');
  const [before, rest] = found.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined)
    throw new Error(`${PAGE}: expected the marks ${BEGIN} and ${END}, found others`);
  return { found, expected: `${before}${BEGIN}\n${settingsTable()}\n${END}${after}` };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, trainingPage().expected);
