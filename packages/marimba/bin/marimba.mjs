#!/usr/bin/env node
// Starts the command line. Plain JavaScript on purpose: an older Node must be able to read it.
//
// In the published package the compiled program lies beside this folder. In the project's own tree the TypeScript
// sources are run instead, by a Node that can do so (scripts/with-node.mjs brings one when the running one cannot).
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const compiled = new URL('../main.js', import.meta.url);
const sources = new URL('../src/main.ts', import.meta.url);

if (existsSync(compiled)) {
  await import(compiled.href);
} else {
  const { runNode, runsTypeScript } = await import(
    new URL('../../../scripts/with-node.mjs', import.meta.url).href
  );
  if (runsTypeScript()) await import(sources.href);
  else runNode([fileURLToPath(sources), ...process.argv.slice(2)]);
}
