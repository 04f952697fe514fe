// The bundled model: a small Jamba, trained by this project (recipes/speeches) and shipped with the command
// line, so that commands without a MODEL have something to run, offline. Its card: model/README.md.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { GenerateOptions } from '@marimba/engine';
import type { ChatSettings } from './chat/loop.ts';
import { KNOWN_MODELS } from './describe/known-models.ts';
import { needsOf } from './describe/needs.ts';
import { invocation } from './invocation.ts';
import { bytes, cyan } from './terminal.ts';
import { definitions, wrapText } from './wrap.ts';

/** Its name where a MODEL is expected. A file or folder of this name takes precedence. */
export const BUNDLED = 'bundled';

const FILE = 'model/speeches-jamba.q8_0.gguf';

export const isBundled = (source: string): boolean => source === BUNDLED && !existsSync(BUNDLED);

/** The path of the bundled model; every other source as it is. */
export function locate(source: string): string {
  if (!isBundled(source)) return source;
  // The compiled program lies beside that folder, the sources one folder below.
  const place = import.meta.url.endsWith('.ts') ? `../${FILE}` : `./${FILE}`;
  return fileURLToPath(new URL(place, import.meta.url));
}

/** The argument MODEL of commands that can run without one. */
export const OPTIONAL_MODEL = [
  '[MODEL]',
  'folder, file or hub name; bundled is the small model that is shipped with marimba',
  BUNDLED,
] as const;

/** "Abraham Lincoln, 1862": what every passage of its training text begins with. */
export const isHeading = (line: string): boolean =>
  /^\p{Lu}[\p{L}. -]{2,40}, (1[789]|20)\d\d$/u.test(line.trim());

/** Its passages end by themselves, hardly ever after more than 400 tokens. */
export const bundledSettings = (options: GenerateOptions): ChatSettings => ({
  options: { ...options, maxTokens: options.maxTokens ?? 400 },
  startsAnew: isHeading,
});

/** The prompt of `generate` without one. */
export const BUNDLED_PROMPT = 'Abraham Lincoln, 1862';

/** What it is, how to steer it, and where real ones come from; wrapped to the terminal. */
export function introduction(): string {
  const real = KNOWN_MODELS[0]!;
  const { downloadBytes, weightBytes } = needsOf(real);
  const steps = [
    ['Abraham Lincoln, 1862', 'a president and a year begin a new speech in that style'],
    ['We must', 'any other words are continued'],
    ['/regenerate', 'continues the same words differently'],
  ] as const;
  return [
    wrapText(
      'A small model, trained by this project on addresses of US presidents. It only continues speeches: it does ' +
        'not answer questions, and nothing that it says is so.',
    ),
    '',
    definitions(steps),
    '',
    wrapText(
      `A model that answers (downloads ${bytes(downloadBytes)}, then takes ${bytes(weightBytes)} of memory; ` +
        `"${invocation()} models" lists others):`,
    ),
    `  ${cyan(`${invocation()} chat ${real.hub} --quantize q4_K`)}`,
  ].join('\n');
}
