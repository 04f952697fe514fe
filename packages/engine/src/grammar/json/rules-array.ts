// Arrays: which items may stand where, how many, and whether an array that has begun can be finished.
import { CannotEnforce, type Expression } from './expression.ts';
import { countNumbers } from './number-set.ts';
import type { ArrayRule, ItemChoice, RuleMaker, ValueRule } from './rules.ts';
import { isAmpleObject } from './rules-object.ts';
import { countTexts } from './text-language.ts';

const MOST = Number.POSITIVE_INFINITY;
/** Kinds of items counted at once: each doubles the choices for an item. */
const MOST_COUNTERS = 4;
/** Indices with choices of their own. */
const MOST_PLACES = 10_000;
/** Places times counts that are looked at to see whether an array can be finished. */
const MOST_STATES = 20_000;

/** The rule of an alternative of arrays. */
export function arrayRule(compiler: RuleMaker, alternative: Expression): ArrayRule {
  const { x, shapes } = compiler;
  const nodes = shapes.conditions(alternative).map((part) => x.node(part));
  let [min, max, places, unique] = [0, MOST, 0, false];
  const kinds: { from: number; value: Expression; min: number; max: number }[] = [];
  for (const node of nodes) {
    if (node.kind === 'length') [min, max] = [Math.max(min, node.min), Math.min(max, node.max)];
    else if (node.kind === 'item') places = Math.max(places, node.index + 1);
    else if (node.kind === 'items') places = Math.max(places, node.from);
    else if (node.kind === 'unique') unique = true;
    else if (node.kind === 'contains') kinds.push(node);
  }
  if (kinds.length > MOST_COUNTERS)
    throw new CannotEnforce(`more than ${MOST_COUNTERS} kinds of items are counted at once`, 'contains');
  for (const { from } of kinds) places = Math.max(places, from);
  if (places > MOST_PLACES)
    throw new CannotEnforce(`more than ${MOST_PLACES} items with schemas of their own`);
  const items = Array.from({ length: places + 1 }, (_, index) =>
    choicesOf(
      compiler,
      shapes.itemOf(nodes, index),
      kinds.map((kind) => (index >= kind.from ? kind : null)),
    ),
  );
  const counters = kinds.map((kind) => ({ min: kind.min, max: kind.max }));
  return { id: compiler.nextId(), min, max, items, counters, unique, finishes: new Map() };
}

/** Each counted kind holds for the item, or not; where there is no upper bound, whether it does may stay open. */
function choicesOf(
  compiler: RuleMaker,
  value: Expression,
  kinds: readonly ({ readonly value: Expression; readonly max: number } | null)[],
): readonly ItemChoice[] {
  const { x, shapes } = compiler;
  let choices: { readonly value: Expression; readonly counts: readonly boolean[] }[] = [
    { value, counts: [] },
  ];
  for (const kind of kinds) {
    choices = choices.flatMap(({ value: one, counts }) => {
      const no = { value: one, counts: [...counts, false] };
      if (kind === null) return [no];
      const yes = { value: x.and(one, kind.value), counts: [...counts, true] };
      return [yes, kind.max === MOST ? no : { ...no, value: x.and(one, x.not(kind.value)) }];
    });
  }
  return choices
    .filter((choice) => !shapes.isEmpty(choice.value, 1))
    .map((choice) => ({ rule: compiler.rule(choice.value), counts: choice.counts }));
}

/** The choices for the item at an index. */
export const choicesAt = ({ items }: ArrayRule, index: number): readonly ItemChoice[] =>
  items[Math.min(index, items.length - 1)];

/** Whether some array keeps the rule, with what is known of its items by now. */
export function arrayLives(rule: ArrayRule): boolean {
  if (rule.counters.length === 0) return rule.min <= reach(rule);
  lookAhead(rule);
  return (
    rule.finishes.get(
      stateKey(
        0,
        rule.counters.map(() => 0),
      ),
    ) === true
  );
}

/** How long an array can get, as far as its items are possible. */
export function reach(rule: ArrayRule): number {
  const dead = rule.items.findIndex((choices) => !choices.some((choice) => choice.rule.lives));
  return dead < 0 ? rule.max : Math.min(rule.max, dead);
}

const stateKey = (index: number, counts: readonly number[]): string => `${index}:${counts.join()}`;

/** An array after some items: indices and counts beyond what makes a difference are cut. */
export interface ArrayState {
  readonly index: number;
  readonly counts: readonly number[];
}

/** The state after another item; null where that would be too many of a kind. */
export function advance(
  rule: ArrayRule,
  { index, counts }: ArrayState,
  choice: ItemChoice,
): ArrayState | null {
  const next: number[] = [];
  for (let i = 0; i < counts.length; i++) {
    const { min, max } = rule.counters[i];
    const count = counts[i] + (choice.counts[i] ? 1 : 0);
    if (count > max) return null;
    next.push(max === MOST ? Math.min(count, min) : count);
  }
  const limit = rule.max === MOST ? Math.max(rule.min, rule.items.length - 1) : rule.max;
  return { index: Math.min(index + 1, limit), counts: next };
}

/** Whether an array may end so. */
export const mayEnd = (rule: ArrayRule, { index, counts }: ArrayState): boolean =>
  index >= rule.min && rule.counters.every(({ min }, i) => counts[i] >= min);

/** Whether an array that has come so far can be finished. */
export function finishes(rule: ArrayRule, state: ArrayState): boolean {
  if (rule.counters.length === 0) return true;
  return rule.finishes.get(stateKey(state.index, state.counts)) === true;
}

/** Finds the states from which an array can be finished: all that can be reached, then backwards from the ends. */
function lookAhead(rule: ArrayRule): void {
  rule.finishes.clear();
  const start: ArrayState = { index: 0, counts: rule.counters.map(() => 0) };
  const before = new Map<string, string[]>([[stateKey(0, start.counts), []]]);
  const good: string[] = [];
  const work = [start];
  for (let state = work.pop(); state !== undefined; state = work.pop()) {
    const key = stateKey(state.index, state.counts);
    if (mayEnd(rule, state)) good.push(key);
    if (before.size > MOST_STATES)
      throw new CannotEnforce(`more than ${MOST_STATES} combinations of length and counts`, 'contains');
    if (state.index >= rule.max) continue;
    for (const choice of choicesAt(rule, state.index)) {
      const next = choice.rule.lives ? advance(rule, state, choice) : null;
      if (next === null) continue;
      const nextKey = stateKey(next.index, next.counts);
      const known = before.get(nextKey);
      if (known !== undefined) known.push(key);
      else {
        before.set(nextKey, [key]);
        work.push(next);
      }
    }
  }
  for (let key = good.pop(); key !== undefined; key = good.pop()) {
    if (rule.finishes.has(key)) continue;
    rule.finishes.set(key, true);
    good.push(...before.get(key)!);
  }
}

/** How many values a rule has; Infinity where more than `most`, and for arrays and objects. */
export function countValues(rule: ValueRule, most: number): number {
  if (rule.arrays.length + rule.objects.length > 0) return MOST;
  let count = 0;
  for (let types = rule.constants; types > 0; types &= types - 1) count++;
  return count + countNumbers(rule.numbers, most) + countTexts(rule.texts, most);
}

/** Whether any array of the rule, at any time before its end, can be made one of infinitely many, by further items. */
function isAmpleArray(rule: ArrayRule): boolean {
  const last = rule.items[rule.items.length - 1];
  return (
    reach(rule) === MOST &&
    !rule.unique &&
    rule.counters.every(({ max }) => max === MOST) &&
    last.some((choice) => choice.rule.lives)
  );
}

/**
 * Throws where uniqueItems is asked of items that it is not done for: arrays and objects of few forms, and few values at places that
 * must be filled.
 */
export function checkUnique(rule: ArrayRule): void {
  if (!rule.unique) return;
  const choices = rule.items.flat().filter((choice) => choice.rule.lives);
  if (
    reach(rule) > 1 &&
    !choices.every(
      ({ rule: { arrays, objects } }) => arrays.every(isAmpleArray) && objects.every(isAmpleObject),
    )
  )
    throw new CannotEnforce(
      'among arrays and objects it is only done for those that can always get another item or property',
      'uniqueItems',
    );
  for (let index = 0; index < Math.min(rule.min, rule.items.length); index++) {
    for (const choice of choicesAt(rule, index)) {
      if (choice.rule.lives && countValues(choice.rule, rule.min) < rule.min)
        throw new CannotEnforce('some items have fewer values than there must be items', 'uniqueItems');
    }
  }
  if (rule.counters.length > 0 && choices.some((choice) => countValues(choice.rule, 1000) <= 1000))
    throw new CannotEnforce('it is not done beside contains for items of few values', 'uniqueItems');
}
