// Objects: the keys that a schema knows by name, the classes of all others, and whether an object that has begun can be
// finished.
import { ALL, CannotEnforce, type Expression, NONE, type Node } from './expression.ts';
import type { KeyClass, NamedKey, ObjectRule, RuleMaker } from './rules.ts';
import { andTexts, countTexts, isNoText, minusTexts, notText, type TextLanguage } from './text-language.ts';
import { WordList } from './words.ts';

const MOST = Number.POSITIVE_INFINITY;
/** Classes of keys that patterns make together. */
const MOST_CLASSES = 64;
/** Alternatives of where a demanded property may be. */
const MOST_PLACINGS = 256;
/** Demanded properties of any name, at once: each doubles the rules of a key. */
const MOST_OBLIGATIONS = 3;
/** Keys that must not run out while a demanded property is still missing. */
const PLENTY = 1000;

type Pattern = Extract<Node, { kind: 'properties' }>;
type Some = Extract<Node, { kind: 'some' }>;

/** Keys that an obligation wants are told from others, as if they had a schema of their own. */
const cut = ({ names }: Some): Pattern => ({ kind: 'properties', names, value: ALL });

/** The rules of an alternative of objects: one for each way to place the properties of any name that it demands. */
export function objectRules(compiler: RuleMaker, alternative: Expression): readonly ObjectRule[] {
  return placings(compiler, alternative).map((one) => objectRule(compiler, one));
}

/** A demanded property of any name is one of the known names, or of none of them. */
function placings(compiler: RuleMaker, alternative: Expression): readonly Expression[] {
  const { x, shapes } = compiler;
  if (!shapes.conditions(alternative).some((part) => x.node(part).kind === 'some')) return [alternative];
  const done: Expression[] = [];
  const work = [alternative];
  for (let one = work.pop(); one !== undefined; one = work.pop()) {
    const parts = shapes.conditions(one);
    const nodes = parts.map((part) => x.node(part));
    const names = allNames(compiler, nodes);
    const open = parts.find((part) => {
      const node = x.node(part);
      return node.kind === 'some' && names.some((name) => shapes.hasName(node.names, name));
    });
    if (done.length + work.length > MOST_PLACINGS)
      throw new CannotEnforce(`more than ${MOST_PLACINGS} ways to place demanded properties`);
    if (open === undefined) {
      done.push(one);
      continue;
    }
    const { names: wanted, value } = x.node(open) as Some;
    const rest = parts.filter((part) => part !== open);
    for (const name of names) {
      if (shapes.hasName(wanted, name)) work.push(x.and(...rest, x.required(name), x.property(name, value)));
    }
    work.push(x.and(...rest, x.some(x.and(wanted, x.words(names, true)), value)));
  }
  return done;
}

/** The known names, and the free ones that are so few that they can be listed. */
function allNames(compiler: RuleMaker, nodes: readonly Node[]): readonly string[] {
  const known = [...knownNames(nodes)];
  const patterns = nodes.filter((node) => node.kind === 'properties');
  const somes = nodes.filter((node) => node.kind === 'some');
  return [...known, ...freeKeys(compiler, [...patterns, ...somes.map(cut)], known).names];
}

/** In declared order, as far as there is one. */
function knownNames(nodes: readonly Node[]): Set<string> {
  const names = new Set<string>();
  for (const node of nodes) if (node.kind === 'order') for (const name of node.names) names.add(name);
  for (const node of nodes) {
    if (node.kind === 'property' || node.kind === 'required' || node.kind === 'needs') names.add(node.name);
    if (node.kind === 'needs') names.add(node.other);
  }
  return names;
}

function objectRule(compiler: RuleMaker, alternative: Expression): ObjectRule {
  const { x, shapes } = compiler;
  const nodes = shapes.conditions(alternative).map((part) => x.node(part));
  const patterns = nodes.filter((node) => node.kind === 'properties');
  const somes = nodes.filter((node) => node.kind === 'some');
  if (somes.length > MOST_OBLIGATIONS)
    throw new CannotEnforce(`more than ${MOST_OBLIGATIONS} demanded properties of any name`);
  const order = [...knownNames(nodes)].filter((name) => name.isWellFormed());
  const { names, classes } = freeKeys(compiler, [...patterns, ...somes.map(cut)], order);
  order.push(...names);
  const values = order.map((name) => shapes.propertyOf(nodes, name));
  const required = [...new Set(nodes.flatMap((node) => (node.kind === 'required' ? [node.name] : [])))];
  const named = new Map<string, NamedKey>();
  order.forEach((name, index) => {
    if (values[index] === NONE) return;
    named.set(name, { name, index, rule: compiler.rule(values[index]), closure: closureOf(nodes, name) });
  });
  const [min, max] = sizeOf(nodes);
  const obligations = somes.map((some) => shapes.texts(some.names));
  const rule: ObjectRule = {
    id: compiler.nextId(),
    names: named,
    wordList: new WordList(named.keys()),
    classes: classes.flatMap(({ language, value }) => classRules(compiler, language, value, somes)),
    required: [...new Set(required.flatMap((name) => closureOf(nodes, name)))],
    min,
    max,
    obligations,
  };
  checkCounts(
    rule,
    nodes.some((node) => node.kind === 'needs'),
  );
  return rule;
}

function sizeOf(nodes: readonly Node[]): readonly [number, number] {
  let [min, max] = [0, MOST];
  for (const node of nodes)
    if (node.kind === 'size') [min, max] = [Math.max(min, node.min), Math.min(max, node.max)];
  return [min, max];
}

/** All names that a name makes required, step by step. */
function closureOf(nodes: readonly Node[], name: string): readonly string[] {
  const closure = new Set([name]);
  for (const one of closure)
    for (const node of nodes) if (node.kind === 'needs' && node.name === one) closure.add(node.other);
  return [...closure];
}

/** Two bounds together with demands that depend on each other are a puzzle that is not solved here. */
function checkCounts(rule: ObjectRule, hasNeeds: boolean): void {
  if (rule.max === MOST) return;
  if (hasNeeds && rule.min > rule.required.length)
    throw new CannotEnforce('it is not done beside dependentRequired and minProperties', 'maxProperties');
  if (rule.obligations.length > 1)
    throw new CannotEnforce('it is not done beside several demanded properties of any name', 'maxProperties');
}

interface Free {
  readonly language: TextLanguage;
  readonly value: Expression;
}

/** The keys without a known name, by what is demanded of their values; a few of them become known names. */
function freeKeys(
  { x, shapes }: RuleMaker,
  patterns: readonly Pattern[],
  known: readonly string[],
): { names: readonly string[]; classes: readonly Free[] } {
  const forbidden = patterns.filter(({ value }) => value === NONE);
  const language = andTexts([
    { kind: 'others', except: new Set(known) },
    ...forbidden.map(({ names }) => notText(shapes.texts(names))),
  ]);
  if (isNoText(language)) return { names: [], classes: [] };
  let classes: Free[] = [{ language, value: ALL }];
  for (const { names, value } of patterns) {
    if (value === NONE) continue;
    const inside = shapes.texts(names);
    classes = classes.flatMap((one) => [
      { language: andTexts([one.language, inside]), value: x.and(one.value, value) },
      { language: minusTexts(one.language, inside), value: one.value },
    ]);
    classes = classes.filter((one) => !isNoText(one.language));
    if (classes.length > MOST_CLASSES)
      throw new CannotEnforce(`more than ${MOST_CLASSES} kinds of keys`, 'patternProperties');
  }
  const names = classes.flatMap((one) => (one.language.kind === 'words' ? [...one.language.words] : []));
  return { names, classes: classes.filter((one) => one.language.kind !== 'words') };
}

/** A class is cut by what obligations want of names, so that its keys meet the same ones. */
function classRules(
  compiler: RuleMaker,
  language: TextLanguage,
  value: Expression,
  somes: readonly Some[],
): readonly KeyClass[] {
  const { x, shapes } = compiler;
  let parts: { language: TextLanguage; meets: number }[] = [{ language, meets: 0 }];
  somes.forEach((some, bit) => {
    const wanted = shapes.texts(some.names);
    parts = parts
      .flatMap((one) => [
        { language: andTexts([one.language, wanted]), meets: one.meets | (1 << bit) },
        { language: minusTexts(one.language, wanted), meets: one.meets },
      ])
      .filter((one) => !isNoText(one.language));
  });
  return parts.map((part) => ({
    language: part.language,
    choices: subsets(part.meets).map((meets) => {
      const demands = somes.filter((_, bit) => (meets & (1 << bit)) !== 0).map((some) => some.value);
      return { meets, rule: compiler.rule(x.and(value, ...demands)) };
    }),
  }));
}

/** All subsets of a set of bits, the empty one first. */
function subsets(bits: number): readonly number[] {
  const result = [0];
  for (let one = bits; one > 0; one = (one - 1) & bits) result.push(one);
  return result;
}

/** Whether a property of this name can be written at all. */
export const nameLives = (rule: ObjectRule, key: NamedKey): boolean =>
  key.rule.lives && key.closure.every((name) => rule.names.get(name)?.rule.lives === true);

export const classLives = ({ choices }: KeyClass): boolean => choices.some((choice) => choice.rule.lives);

/** How many different keys can be written; Infinity for more than `most`. */
export function countKeys(rule: ObjectRule, most: number): number {
  let count = 0;
  for (const key of rule.names.values()) if (nameLives(rule, key)) count++;
  for (const one of rule.classes)
    if (count <= most && classLives(one)) count += countTexts(one.language, most);
  return count > most ? MOST : count;
}

/** Whether some object keeps the rule, with what is known of its values by now. */
export function objectLives(rule: ObjectRule): boolean {
  for (const name of rule.required) {
    const key = rule.names.get(name);
    if (key === undefined || !nameLives(rule, key)) return false;
  }
  if (rule.required.length + (rule.obligations.length > 0 ? 1 : 0) > rule.max) return false;
  for (let bit = 0; bit < rule.obligations.length; bit++) {
    const met = rule.classes.filter(({ choices }) =>
      choices.some((choice) => (choice.meets & (1 << bit)) !== 0 && choice.rule.lives),
    );
    if (met.length === 0) return false;
    if (met.every((one) => countTexts(one.language, PLENTY) <= PLENTY))
      throw new CannotEnforce('a property is demanded for which few names will do', 'patternProperties');
  }
  return rule.min <= rule.required.length || countKeys(rule, rule.min) >= rule.min;
}

/**
 * Whether any object of the rule, at any time before its end, can be made one of infinitely many: there is always room for
 * another key.
 */
export const isAmpleObject = (rule: ObjectRule): boolean =>
  rule.max === MOST && rule.classes.some((one) => one.language.kind === 'others' && classLives(one));
