// Sampling and stopping options of `generate` and `chat`, and which values hold when none are given.
import { type GenerateOptions, type Model, UsageError } from '@marimba/engine';
import { type Command, InvalidArgumentError } from 'commander';
import { collect, realNumber, tokenList, wholeNumber } from './options.ts';
import { readStandardInput, readTextFile } from './text-input.ts';

/** Parsed values of `addSamplingOptions`; names are those of GenerateOptions where there is one. */
export interface SamplingFlags {
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly typicalP?: number;
  readonly repetitionPenalty?: number;
  readonly repetitionWindow?: number;
  readonly frequencyPenalty?: number;
  readonly presencePenalty?: number;
  readonly dry?: number;
  readonly xtc?: number;
  readonly logitBias?: Record<number, number>;
  readonly seed?: number;
  readonly speculate?: boolean;
  readonly stop?: string[];
  readonly stopTokens?: number[];
  readonly ignoreEos?: boolean;
}

/** For models whose files recommend nothing: lively, but seldom off the rails. */
export const FALLBACK_SAMPLING: GenerateOptions = { temperature: 0.7, topP: 0.95 };
const GREEDY: GenerateOptions = { sampling: 'neutral', temperature: 0 };

function logitBias(text: string, before: Record<number, number> = {}): Record<number, number> {
  const match = /^(\d+)=(-?(?:\d+(?:\.\d+)?|inf))$/i.exec(text);
  if (!match) throw new InvalidArgumentError('Expected ID=BIAS, such as 42=-1.5 or 42=-inf.');
  return { ...before, [Number(match[1])]: Number(match[2]!.replace(/inf/i, 'Infinity')) };
}

export function addSamplingOptions(command: Command): Command {
  return command
    .optionsGroup('Sampling:')
    .option('--temperature <T>', '0 takes the most likely token, higher is livelier', realNumber(0))
    .option('--top-k <N>', 'keep the N most likely tokens', wholeNumber(-1))
    .option('--top-p <P>', 'keep the fewest tokens that hold this much probability', realNumber(0, 1))
    .option('--min-p <P>', 'keep tokens at least this fraction as likely as the best', realNumber(0, 1))
    .option('--typical-p <P>', 'keep the tokens whose surprise is near the expected one', realNumber(0, 1))
    .option('--repetition-penalty <X>', 'make recent tokens less likely (1 is off)', realNumber(0.01, 100))
    .option('--repetition-window <N>', 'how many tokens the penalties look back (-1: all)', wholeNumber(-1))
    .option('--frequency-penalty <X>', 'per earlier occurrence', realNumber(-2, 2))
    .option('--presence-penalty <X>', 'for having occurred at all', realNumber(-2, 2))
    .option('--dry <X>', 'strength of the penalty on verbatim repetition', realNumber(0))
    .option('--xtc <P>', 'how often to exclude the top choices', realNumber(0, 1))
    .option('--logit-bias <ID=BIAS>', 'make a token more or less likely (repeatable)', logitBias)
    .option('--seed <N>', 'the same seed gives the same tokens', wholeNumber(0))
    .option('--speculate', 'look up likely continuations in the text so far, always')
    .option('--no-speculate', 'never (default: where it pays; the tokens are the same)')
    .optionsGroup('Stopping:')
    .option('--max-tokens <N>', 'maximum number of tokens, including an end token', wholeNumber(0))
    .option('--stop <TEXT>', 'stop before this text (repeatable)', collect)
    .option('--stop-tokens <IDS>', 'further end tokens, such as 2,519', tokenList)
    .option('--ignore-eos', 'continue after the model’s own end tokens');
}

/**
 * What the flags say. Where they say nothing, the engine takes what the model's files recommend; where these
 * recommend nothing, too, the fallback holds. `greedy` replaces both.
 */
export function generateOptions(flags: SamplingFlags, model: Model, greedy = false): GenerateOptions {
  const recommends = Object.keys(model.recommended).length > 0;
  const defaults: GenerateOptions = greedy ? GREEDY : recommends ? {} : FALLBACK_SAMPLING;
  const { maxTokens, temperature, topK, topP, minP, typicalP, seed, stop, stopTokens, ignoreEos } = flags;
  return {
    sampling: defaults.sampling,
    temperature: temperature ?? defaults.temperature,
    topP: topP ?? defaults.topP,
    maxTokens,
    topK,
    minP,
    typicalP,
    seed,
    stop,
    stopTokens,
    ignoreEos,
    repetitionPenalty: flags.repetitionPenalty,
    repetitionWindow: flags.repetitionWindow,
    frequencyPenalty: flags.frequencyPenalty,
    presencePenalty: flags.presencePenalty,
    logitBias: flags.logitBias,
    speculate: flags.speculate,
    dry: flags.dry === undefined ? undefined : { multiplier: flags.dry },
    xtc: flags.xtc === undefined ? undefined : { probability: flags.xtc },
  };
}

/** What to read: exactly one of a text, token ids, a file, or standard input when it is not a terminal. */
export function promptFrom(
  flags: { prompt?: string; file?: string; tokens?: number[] },
  command: string,
): string | number[] {
  const given = [flags.prompt, flags.file, flags.tokens].filter((value) => value !== undefined).length;
  if (given > 1)
    throw new UsageError(`${command}: expected one of --prompt, --file and --tokens, found ${given}`);
  if (flags.tokens) return flags.tokens;
  if (flags.prompt !== undefined) return flags.prompt;
  if (flags.file !== undefined) return readTextFile(flags.file, '--file');
  if (process.stdin.isTTY)
    throw new UsageError(
      `${command}: expected --prompt, --file, --tokens or text on standard input, found none`,
    );
  return readStandardInput();
}

/** Refuses a prompt without any token, in the words of the command line. A start token is one. */
export function assertTokens(tokens: readonly number[], command: string): void {
  if (tokens.length) return;
  const more = command === 'generate' ? ', --file or text on standard input' : '';
  throw new UsageError(
    `${command}: expected a prompt, found an empty one, and this model begins texts with no token of its own. ` +
      `Give --prompt${more}, or --tokens.`,
  );
}
