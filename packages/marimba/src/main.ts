// The command `marimba`: sets up what every subcommand shares (pipes that close early, Ctrl-C, exit codes),
// then runs one. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped with Ctrl-C.
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { EXIT, endWith } from './exit.ts';
import { createProgram, spelledOut } from './program.ts';

// A reader that has seen enough (`marimba generate … | head`) is no failure; output that has no place to go
// is.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.done);
    if (stream === process.stdout) endWith(error);
    process.exit(EXIT.failed);
  });
}

/** Commands that run no model. */
const WITHOUT_KERNELS: ReadonlySet<string> = new Set(['inspect', 'models', 'plan', 'pull', 'tokenizer']);

/**
 * In the project's own tree the kernels are compiled when their sources have changed, unless whoever starts this has
 * seen to it (scripts/test.ts); a package brings its own.
 */
async function buildStaleKernels(_program: Command, command: Command): Promise<void> {
  const script = new URL('../../../scripts/build-kernels.ts', import.meta.url);
  const { parent } = command;
  const name = parent?.parent ? parent.name() : command.name();
  if (
    WITHOUT_KERNELS.has(name) ||
    process.env.MARIMBA_KERNELS_BUILT ||
    !import.meta.url.endsWith('.ts') ||
    !existsSync(script)
  )
    return;
  const { buildKernels } = (await import(script.href)) as { buildKernels: () => Promise<void> };
  await buildKernels();
}

try {
  const program = createProgram();
  program.hook('preAction', buildStaleKernels);
  await program.parseAsync(spelledOut(program, process.argv.slice(2)), { from: 'user' });
} catch (error) {
  endWith(error);
}
