// The model in the box: a small Jamba that was trained by this project (recipes/speeches) and comes along with the command
// line, so that commands without a MODEL have something to run, offline. Its card: model/README.md.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { GenerateOptions } from '@marimba/engine';
import type { ChatSettings } from './chat/loop.ts';
import { cyan, dim } from './terminal.ts';

/** What stands for it where a MODEL is expected. A file or folder of this name goes first. */
export const BOX = 'box';

const FILE = 'model/speeches-jamba.q8_0.gguf';
export const REAL_MODEL = 'npx marimba chat ai21labs/AI21-Jamba2-3B --quantize q4_K';

export const isBox = (source: string): boolean => source === BOX && !existsSync(BOX);

/** A path or name as the engine takes it. */
export function locate(source: string): string {
  if (!isBox(source)) return source;
  // The compiled program lies beside that folder, the sources one folder below.
  const place = import.meta.url.endsWith('.ts') ? `../${FILE}` : `./${FILE}`;
  return fileURLToPath(new URL(place, import.meta.url));
}

/** The argument MODEL of commands that can do without one. */
export const OPTIONAL_MODEL = [
  '[MODEL]',
  'folder, file or hub name; box is the small model that comes along',
  BOX,
] as const;

/** "Abraham Lincoln, 1862": what every passage of its training text begins with. */
export const isHeading = (line: string): boolean =>
  /^\p{Lu}[\p{L}. -]{2,40}, (1[789]|20)\d\d$/u.test(line.trim());

/** It ends its passages by itself, and hardly ever later than this. */
export const boxSettings = (options: GenerateOptions): ChatSettings => ({
  options: { maxTokens: 400, ...options },
  startsAnew: isHeading,
});

/** What `generate` begins with when nobody says anything. */
export const BOX_PROMPT = 'Abraham Lincoln, 1862';

/** What it is, how to steer it, and where real ones come from. */
export const boxIntroduction = (): string =>
  [
    'A small model, trained by this project on addresses of US presidents. It continues speeches; it does not',
    'answer questions, and nothing that it says is so.',
    '',
    `  ${cyan('Abraham Lincoln, 1862')}   a president and a year begin a new speech in that style`,
    `  ${cyan('We must')}                 any other words are continued`,
    `  ${cyan('/regenerate')}             the same again, differently`,
    '',
    `${dim('A real Jamba 3B, about 2 GB:')} ${cyan(REAL_MODEL)}`,
  ].join('\n');
