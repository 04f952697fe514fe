// Runs the JSON-Schema-Test-Suite and writes its table into docs/grammar.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SUITE_PLACE, suiteTable } from '../packages/engine/test/schema-suite.ts';

const path = join(import.meta.dirname, '../docs/grammar.md');
const text = readFileSync(path, 'utf8');
writeFileSync(
  path,
  text.replace(SUITE_PLACE, (_, begin: string, end: string) => `${begin}\n${suiteTable()}\n${end}`),
);
