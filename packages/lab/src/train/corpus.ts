// From a run's texts to batches: a tokenizer (given, or trained once and kept in the run's folder), tokens
// (kept too), and the split into training and held-out parts.
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '@marimba/engine';
import { splitDocuments, textBatches, textWindows, wholePart } from '../data/batches.ts';
import { readDocuments } from '../data/documents.ts';
import { hashText, tokenise, writeWhole } from '../data/token-file.ts';
import { readTokenizer, trainTokenizer } from '../data/tokenizer-file.ts';
import type { RunConfig } from './run-config.ts';
import type { TrainerData } from './trainer.ts';

export interface Corpus {
  readonly data: TrainerData;
  readonly trainingTokens: number;
  readonly heldOutTokens: number;
  /** Identifies texts and tokenizer. */
  readonly hash: string;
  /** Ends documents. */
  readonly endToken: number;
  /** The texts of tokenizer.json and tokenizer_config.json, to go with the exported model. */
  readonly tokenizerJson: string;
  readonly tokenizerConfig: string;
}

export async function openCorpus(
  config: RunConfig,
  vocabularySize: number,
  onNote: (text: string) => void = () => {},
): Promise<Corpus> {
  const tokenizerJson = await tokenizerText(config, vocabularySize, onNote);
  const json: unknown = JSON.parse(tokenizerJson);
  const tokenizerConfig = tokenizerConfigText(config);
  const tokenizer = readTokenizer(json, JSON.parse(tokenizerConfig), config.tokenizer ?? 'trained tokenizer');
  if (tokenizer.vocabularySize > vocabularySize)
    throw new UsageError(
      `model: vocab_size: expected at least the tokenizer's ${tokenizer.vocabularySize}, found ${vocabularySize}`,
    );
  const tokensOf = (paths: readonly string[]) =>
    tokenise(paths, {
      tokenizer,
      tokenizerHash: hashText(tokenizerJson),
      cacheFolder: join(config.output, 'tokens'),
    });
  const tokens = await tokensOf(config.texts);
  const { training, heldOut } = config.heldOutTexts.length
    ? { training: wholePart(tokens), heldOut: wholePart(await tokensOf(config.heldOutTexts)) }
    : splitDocuments(tokens, config.heldOut, config.seed);
  const { sequences, length, seed, heldOutTokens } = config;
  const batch = textBatches(training, { sequences, length, seed });
  return {
    data: {
      batch,
      heldOut: textWindows(heldOut, {
        sequences,
        length: Math.min(length, heldOut.tokens.length - 1),
        maxTokens: heldOutTokens,
      }),
      bytesPerToken: heldOut.byteLength / heldOut.tokens.length,
    },
    trainingTokens: training.tokens.length,
    heldOutTokens: heldOut.tokens.length,
    hash: tokens.hash,
    endToken: tokenizer.special.eos[0] ?? 0,
    tokenizerJson,
    tokenizerConfig,
  };
}

const trainedPath = (config: RunConfig): string => join(config.output, 'tokenizer.json');

async function tokenizerText(
  config: RunConfig,
  vocabularySize: number,
  onNote: (text: string) => void,
): Promise<string> {
  const path = config.tokenizer ?? trainedPath(config);
  if (existsSync(path)) return readFileSync(path, 'utf8');
  if (config.tokenizer)
    throw new UsageError(`${config.tokenizer}: expected a tokenizer.json, found no such file`);
  onNote(`Training a tokenizer of ${vocabularySize} tokens on the texts …`);
  const texts: string[] = [];
  for await (const { text } of readDocuments(config.texts)) texts.push(text);
  const trained = trainTokenizer(texts, { vocabularySize });
  const text = JSON.stringify(trained.json);
  await mkdir(config.output, { recursive: true });
  await writeWhole(join(config.output, 'tokenizer_config.json'), JSON.stringify(trained.config, null, 2));
  await writeWhole(path, text);
  return text;
}

function tokenizerConfigText(config: RunConfig): string {
  const path = (config.tokenizer ?? trainedPath(config)).replace(/[^/\\]*$/, 'tokenizer_config.json');
  return existsSync(path) ? readFileSync(path, 'utf8') : 'null';
}
