// The command tree. Each file in commands/ adds one subcommand; the list of them is commands/index.ts.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { examples } from './commands/examples.ts';
import { commands } from './commands/index.ts';
import { bold, cyan, dim } from './terminal.ts';

function version(): string {
  // The compiled program lies beside its package.json, the sources one folder below.
  const place = import.meta.url.endsWith('.ts') ? '../package.json' : './package.json';
  const text = readFileSync(new URL(place, import.meta.url), 'utf8');
  const { version: found } = JSON.parse(text) as { version?: unknown };
  return String(found);
}

export function createProgram(): Command {
  const program = new Command('marimba')
    .description('Run, inspect and measure hybrid language models: Jamba, Mamba and transformers.')
    .version(version(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError(dim('(see --help)', process.stderr))
    .configureHelp({
      subcommandTerm: (command) => command.name(),
      styleTitle: (text) => bold(text),
      styleCommandText: (text) => cyan(text),
      styleSubcommandText: (text) => cyan(text),
      styleOptionText: (text) => cyan(text),
      styleArgumentText: (text) => cyan(text),
    })
    .addHelpText(
      'after',
      examples(
        [
          ['marimba chat', 'the bundled model, offline'],
          ['marimba models', 'which models can I run here?'],
          ['marimba chat ai21labs/AI21-Jamba2-3B --quantize q4_K', 'talk to a model from the hub'],
          ['marimba generate model.gguf --prompt "Once upon a time"', 'continue a text'],
          ['marimba inspect ./model', 'what is inside, without loading it'],
          ['marimba plan jamba-3b --context 262144', 'what it needs, before you download it'],
        ],
        'MODEL is a folder, a file (.gguf, .safetensors) or a hub name (owner/name, owner/name:Q4_K_M). Left out, or ' +
          'bundled: the small model that is shipped with marimba.',
        'Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped with Ctrl-C.',
      ),
    );
  for (const register of commands) register(program);
  return program;
}

/**
 * Arguments as commander takes them: other spellings of --version, and `help NAME` of a command that does not
 * exist.
 */
export function spelledOut(program: Command, [first, ...rest]: readonly string[]): string[] {
  if (first === undefined) return [];
  if (first === '-V' || first === 'version') return ['--version', ...rest];
  const [name] = rest;
  // Commander would show the general help for it, as if all were well.
  const known = name === undefined || name.startsWith('-') || program.commands.some((c) => c.name() === name);
  return first === 'help' && !known ? [name] : [first, ...rest];
}
