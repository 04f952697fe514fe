// Questions about regular languages. Each explores an automaton, within its bounds of states.
import { DEFAULT_LIMITS, type GrammarLimits } from '../limits.ts';
import { Dfa } from './dfa.ts';
import { both, difference, either, type Regular } from './regular.ts';

const DEAD = 0;

/** Whether a language holds no text. */
export function isNothing(language: Regular, limits: GrammarLimits = DEFAULT_LIMITS): boolean {
  return new Dfa(language, limits).start === DEAD;
}

/** Whether some text is in both. */
export function intersects(a: Regular, b: Regular, limits: GrammarLimits = DEFAULT_LIMITS): boolean {
  return !isNothing(both(a, b), limits);
}

/** Whether all texts of the first are in the second. */
export function isWithin(a: Regular, b: Regular, limits: GrammarLimits = DEFAULT_LIMITS): boolean {
  return isNothing(difference(a, b), limits);
}

/** Whether both hold the same texts. */
export function isSame(a: Regular, b: Regular, limits: GrammarLimits = DEFAULT_LIMITS): boolean {
  return isNothing(either(difference(a, b), difference(b, a)), limits);
}

/** Whether a text is in the automaton's language. */
export function holds(dfa: Dfa, bytes: Iterable<number>): boolean {
  return dfa.accepts(dfa.run(dfa.start, bytes));
}

/** Whether there are finitely many texts. Explores every state that one can lead to. */
export function isFiniteLanguage(dfa: Dfa): boolean {
  // Depth first without recursion: a state met again while it is open closes a circle, and every circle of
  // live states is part of infinitely many texts.
  const done = new Set<number>();
  const open = new Set<number>();
  const path: { readonly state: number; next: number }[] = [];
  const enter = (state: number): boolean => {
    if (open.has(state)) return false;
    if (state !== DEAD && !done.has(state)) {
      open.add(state);
      path.push({ state, next: 0 });
    }
    return true;
  };
  enter(dfa.start);
  for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
    if (top.next === dfa.classCount) {
      open.delete(top.state);
      done.add(top.state);
      path.pop();
    } else if (!enter(dfa.stepClass(top.state, top.next++))) return false;
  }
  return true;
}

/**
 * The texts of a language in order of length, then bytes, as many as are wanted: all of them where it holds
 * fewer. The search goes level by level and holds at most `frontier` beginnings; null where there are more.
 */
export function shortestTexts(dfa: Dfa, count: number, frontier = 10_000): Uint8Array[] | null {
  const found: Uint8Array[] = [];
  let level: { readonly state: number; readonly bytes: Uint8Array }[] =
    dfa.start === DEAD ? [] : [{ state: dfa.start, bytes: new Uint8Array(0) }];
  while (level.length > 0) {
    const next: typeof level = [];
    for (const { state, bytes } of level) {
      if (dfa.accepts(state) && found.push(bytes) === count) return found;
      for (let byte = 0; byte < 256; byte++) {
        const to = dfa.step(state, byte);
        if (to === DEAD) continue;
        if (next.length === frontier) return null;
        const longer = new Uint8Array(bytes.length + 1);
        longer.set(bytes);
        longer[bytes.length] = byte;
        next.push({ state: to, bytes: longer });
      }
    }
    level = next;
  }
  return found;
}
