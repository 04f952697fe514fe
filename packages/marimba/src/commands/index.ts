// Every subcommand, in the order of the help text. Adding one: a file here that exports `register`, and its
// line below.
import type { Command } from 'commander';
import { register as ablate } from './ablate.ts';
import { register as bench } from './bench.ts';
import { register as chat } from './chat.ts';
import { register as embed } from './embed.ts';
import { register as evaluate } from './eval.ts';
import { register as generate } from './generate.ts';
import { register as grammar } from './grammar.ts';
import { register as inspect } from './inspect.ts';
import { register as logits } from './logits.ts';
import { register as models } from './models.ts';
import { register as plan } from './plan.ts';
import { register as pull } from './pull.ts';
import { register as quantize } from './quantize.ts';
import { register as rerank } from './rerank.ts';
import { register as tokenizer } from './tokenizer.ts';
import { register as train } from './train.ts';

export const commands: readonly ((program: Command) => void)[] = [
  bench,
  chat,
  generate,
  embed,
  rerank,
  grammar,
  inspect,
  models,
  plan,
  logits,
  pull,
  quantize,
  tokenizer,
  train,
  ablate,
  evaluate,
];
