// Helper of session.test.ts, run as a process of its own: restores a session, reads tokens, writes the logits.
// Arguments: MODEL OPTIONS-JSON SESSION-FILE TOKENS-JSON OUTPUT
import { readFileSync, writeFileSync } from 'node:fs';
import { loadModel } from '../src/index.ts';

const [source, options, file, tokens, output] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
await using model = await loadModel(source, JSON.parse(options));
const session = model.restoreSession(new Uint8Array(readFileSync(file)));
const logits = await session.prefill(JSON.parse(tokens));
writeFileSync(output, new Uint8Array(logits.buffer));
