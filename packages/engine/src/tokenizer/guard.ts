// Keeps what users write from becoming special tokens when a chat template mixes it with the template's own
// markers. Into every text that looks like (the start of) a marker goes one character that the conversation
// does not contain; the tokenizer matches markers with it in place and drops it before the text is tokenized.
// So the text survives unchanged, only as plain text. A template that cuts, trims or joins contents cannot
// put a marker back together: a marker is broken after its first character, and a content that begins or ends
// with part of a marker is broken there as well.

/** Characters of a marker, in any case (templates may change it), that are enough to break it. */
const HEAD_LENGTH = 4;

const spaceAtStart = /^\p{White_Space}*/v;
const spaceAtEnd = /\p{White_Space}*$/v;

export class MarkerGuard {
  /** First characters of the heads → the heads, lower case. */
  readonly #heads = new Map<string, Set<string>>();
  /** First character → proper endings of markers that begin with it. */
  readonly #endings = new Map<string, Set<string>>();

  constructor(markers: Iterable<string>) {
    for (const marker of markers) {
      const text = marker.toLowerCase();
      if (text === '') continue;
      addTo(this.#heads, text.slice(0, HEAD_LENGTH));
      for (let i = 1; i < text.length; i++) addTo(this.#endings, text.slice(i));
    }
  }

  /** `text` with `guard` wherever a marker begins, or may be completed by what comes before or after it. */
  protect(text: string, guard: string): string {
    // Lower case may change the length of a text (İ); then letters are compared as they are.
    const lowered = text.toLowerCase();
    const folded = lowered.length === text.length ? lowered : text;
    const end = text.length - spaceAtEnd.exec(text.slice(-4096))![0].length;
    const pieces: string[] = [];
    let done = 0;
    const start = spaceAtStart.exec(text)![0].length;
    if (this.#isEnding(folded, start)) {
      pieces.push(text.slice(0, start), guard);
      done = start;
    }
    for (let i = 0; i < text.length; i++) {
      const heads = this.#heads.get(folded[i]!);
      if (heads === undefined) continue;
      const at = this.#breakAt(heads, folded, i, end);
      if (at < 0) continue;
      pieces.push(text.slice(done, at), guard);
      done = at;
    }
    return pieces.length === 0 ? text : pieces.join('') + text.slice(done);
  }

  /**
   * Where to break a marker that begins at `i`; −1 when none does. One of which only the first character is
   * here gets the guard in front: behind it, at the end of the content, the guard would stand before the
   * template's next marker.
   */
  #breakAt(heads: ReadonlySet<string>, text: string, i: number, end: number): number {
    let at = -1;
    for (const head of heads) {
      if (text.startsWith(head, i)) {
        if (head.length === 1) return i;
        at = i + 1;
      } else if (i < end && end - i < head.length && head.startsWith(text.slice(i, end))) {
        at = Math.max(at, end - i === 1 ? i : i + 1);
      }
    }
    return at;
  }

  #isEnding(text: string, start: number): boolean {
    for (const ending of this.#endings.get(text[start] ?? '') ?? []) {
      if (text.startsWith(ending, start)) return true;
    }
    return false;
  }
}

function addTo(sets: Map<string, Set<string>>, text: string): void {
  const set = sets.get(text[0]!);
  if (set === undefined) sets.set(text[0]!, new Set([text]));
  else set.add(text);
}

/** A private-use character that occurs nowhere in `texts`, neither itself nor as a JSON escape. */
export function unusedCharacter(texts: readonly string[]): string {
  // JSON may write its escapes in any case.
  const escapes = new Map(
    texts.filter((text) => text.includes('\\u')).map((text) => [text, text.toLowerCase()]),
  );
  for (let code = 0xe000; code <= 0xf8ff; code++) {
    const character = String.fromCharCode(code);
    const escaped = escapeOf(character);
    const holds = (text: string) =>
      text.includes(character) || (escapes.has(text) && escapes.get(text)!.includes(escaped));
    if (!texts.some(holds)) return character;
  }
  // All 6,400 in one conversation: only an attack does that. A run of one of them, longer than any in the
  // texts, is new.
  let run = '\ue000';
  while (texts.some((text) => text.includes(run))) run += run;
  return run;
}

/** As `tojson` with `ensure_ascii` writes the character. */
export function escapeOf(text: string): string {
  return Array.from(text, (character) => `\\u${character.charCodeAt(0).toString(16)}`).join('');
}
