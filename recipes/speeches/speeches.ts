// From the data set to documents: every speech is cut into passages of whole sentences, and each passage is
// led by a line that names president and year. Windows of a few hundred tokens then nearly always hold such a
// line, so the model learns what follows from it, and a user can steer by it. Whole speeches are held out,
// one from each stretch of history.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '@marimba/engine/measure';

export interface Speech {
  readonly year: number;
  readonly president: string;
  readonly text: string;
}

export interface Split {
  readonly training: readonly Speech[];
  readonly heldOut: readonly Speech[];
}

/** The most characters of a passage, except for a single sentence that is longer. */
const PASSAGE_CHARACTERS = 900;
const HELD_OUT_SPEECHES = 12;
const SPLIT_SEED = 2026;

/** All speeches of the data set's folder, by year. Throws where a file is not what is expected. */
export function readSpeeches(folder: string): Speech[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  if (!names.length) throw new Error(`${folder}: expected speeches as JSON files, found none`);
  return names.sort().map((name) => {
    const { year, name: president, text } = JSON.parse(readFileSync(join(folder, name), 'utf8'));
    if (typeof year !== 'number' || typeof president !== 'string' || typeof text !== 'string')
      throw new Error(`${name}: expected year, name and text of a speech, found something else`);
    return { year, president, text: cleaned(text) };
  });
}

/** Control characters and doubled blanks are scanning remains. */
const cleaned = (text: string): string =>
  text
    .replace(/\p{Cc}+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();

/** The speeches in order of time are divided into equal stretches; chance picks one of each. */
export function splitSpeeches(
  speeches: readonly Speech[],
  count = HELD_OUT_SPEECHES,
  seed = SPLIT_SEED,
): Split {
  const random = createRandom(seed);
  const chosen = new Set<Speech>();
  for (let k = 0; k < count; k++) {
    const from = Math.floor((k * speeches.length) / count);
    const to = Math.floor(((k + 1) * speeches.length) / count);
    chosen.add(speeches[from + Math.floor(random() * (to - from))]!);
  }
  return {
    training: speeches.filter((speech) => !chosen.has(speech)),
    heldOut: speeches.filter((speech) => chosen.has(speech)),
  };
}

/** In an order of chance, so that any part of it is a sample of the whole. */
export function shuffled<T>(list: readonly T[], seed = SPLIT_SEED): T[] {
  const random = createRandom(seed);
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

export const headingOf = ({ president, year }: Speech): string => `${president}, ${year}`;

/** Passages of whole sentences, each with its heading, a blank line between them. */
export function passagesOf(speech: Speech, characters = PASSAGE_CHARACTERS): string[] {
  const passages: string[] = [];
  let passage = '';
  for (const sentence of speech.text.split(/(?<=[.?!]["”’')]*) (?=["“(]*[A-Z])/)) {
    if (passage && passage.length + sentence.length >= characters) {
      passages.push(passage);
      passage = '';
    }
    passage += passage ? ` ${sentence}` : sentence;
  }
  if (passage) passages.push(passage);
  return passages.map((text) => `${headingOf(speech)}\n\n${text}`);
}

export const toJsonl = (documents: readonly string[]): string =>
  documents.map((text) => `${JSON.stringify({ text })}\n`).join('');
