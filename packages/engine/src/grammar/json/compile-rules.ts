// From an expression to rules: every demand on a value that can be met with is looked at once, then those that no finite
// value meets are found (a least fixed point: recursion without an end is no value) and left out of the rules.

import type { Expressions } from './expression.ts';
import { ARRAY, CannotEnforce, type Expression, OBJECT } from './expression.ts';
import { asDoubles } from './number-prefix.ts';
import type { RuleMaker, ValueRule } from './rules.ts';
import { arrayLives, arrayRule, checkUnique } from './rules-array.ts';
import { objectLives, objectRules } from './rules-object.ts';
import type { Shapes } from './shapes.ts';
import { isNoText } from './text-language.ts';

/** Demands of one schema. More are refused. */
const MOST_RULES = 20_000;

export class RuleCompiler implements RuleMaker {
  readonly x: Expressions;
  readonly shapes: Shapes;
  readonly #rules = new Map<Expression, ValueRule>();
  readonly #waiting: ValueRule[] = [];
  #ids = 0;

  constructor(expressions: Expressions, shapes: Shapes) {
    this.x = expressions;
    this.shapes = shapes;
  }

  nextId(): number {
    return this.#ids++;
  }

  /** The finished rules of an expression. `lives` is false where no value meets it. */
  compile(expression: Expression): ValueRule {
    const root = this.rule(expression);
    const all: ValueRule[] = [];
    for (let rule = this.#waiting.pop(); rule !== undefined; rule = this.#waiting.pop()) {
      all.push(rule);
      this.#expand(rule);
    }
    this.#settle(all);
    return root;
  }

  rule(expression: Expression): ValueRule {
    const known = this.#rules.get(expression);
    if (known !== undefined) return known;
    if (this.#rules.size >= MOST_RULES)
      throw new CannotEnforce(`more than ${MOST_RULES} combinations of schemas that apply to one value`);
    const { shapes } = this;
    const rule: ValueRule = {
      id: this.nextId(),
      expression,
      lives: false,
      constants: shapes.constants(expression),
      numbers: asDoubles(shapes.numbers(expression)),
      texts: shapes.texts(expression),
      numberReader: null,
      wordList: null,
      arrays: [],
      objects: [],
    };
    this.#rules.set(expression, rule);
    this.#waiting.push(rule);
    return rule;
  }

  #expand(rule: ValueRule): void {
    const { shapes } = this;
    rule.lives = rule.constants !== 0 || rule.numbers.length > 0 || !isNoText(rule.texts);
    rule.arrays = shapes.alternatives(rule.expression, ARRAY).map((one) => arrayRule(this, one));
    rule.objects = shapes.alternatives(rule.expression, OBJECT).flatMap((one) => objectRules(this, one));
  }

  /** Rules that need others are mostly made before them, so going backwards few rounds are needed. */
  #settle(rules: readonly ValueRule[]): void {
    for (let changed = true; changed; ) {
      changed = false;
      for (let i = rules.length - 1; i >= 0; i--) {
        const rule = rules[i];
        if (rule.lives || !(rule.arrays.some(arrayLives) || rule.objects.some(objectLives))) continue;
        rule.lives = true;
        changed = true;
      }
    }
    for (const rule of rules) {
      rule.arrays = rule.arrays.filter(arrayLives);
      rule.arrays.forEach(checkUnique);
      rule.objects = rule.objects.filter(objectLives);
    }
  }
}
