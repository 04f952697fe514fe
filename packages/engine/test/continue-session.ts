// Run by session.test.ts as a process of its own: restores saved sessions, reads tokens, writes the logits.
// Argument: a list of tasks as JSON.
import { readFileSync, writeFileSync } from 'node:fs';
import { type LoadModelOptions, loadModel } from '../src/index.ts';

export interface ContinueTask {
  readonly source: string;
  readonly options: LoadModelOptions;
  /** The file that holds the saved session. */
  readonly saved: string;
  readonly tokens: readonly number[];
  /** The file for the logits after the last token, as f32. */
  readonly output: string;
}

for (const { source, options, saved, tokens, output } of JSON.parse(process.argv[2]!) as ContinueTask[]) {
  await using model = await loadModel(source, options);
  const session = model.restoreSession(new Uint8Array(readFileSync(saved)));
  const logits = await session.prefill(tokens);
  writeFileSync(output, new Uint8Array(logits.buffer));
}
