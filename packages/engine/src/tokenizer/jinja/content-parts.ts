// Whether a template takes contents in parts (a list of texts, images and so on), or only as one text. Asked of
// the parsed template, before any message is rendered: one that takes texts only would print a list as Python
// does, or drop it without a word.

import type { Body, Expression, Statement, Target } from './nodes.ts';
import { childrenOf, expressionsOf, statementsOf, targetsOf } from './walk.ts';

/** Filters that look into lists. */
const LIST_FILTERS: ReadonlySet<string> = new Set(['map', 'select', 'selectattr', 'reject', 'rejectattr']);

/** Contents reach a loop by way of `set` and macros; longer ways than this are not followed. */
const LONGEST_WAY = 4;

/** Whether the template walks the contents of messages as lists. */
export function takesParts(template: Body): boolean {
  const statements = allStatements(template.statements);
  const names = new Set(['content']);
  for (let i = 0; i < LONGEST_WAY; i++)
    for (const statement of statements) noteNames(statement, names, statements);
  return statements.some(
    (statement) =>
      (statement.kind === 'For' && isContent(statement.iterable, names)) ||
      expressionsOf(statement).some((node) => filtersContent(node, names)),
  );
}

function allStatements(statements: readonly Statement[]): Statement[] {
  return statements.flatMap((statement) => [statement, ...allStatements(statementsOf(statement))]);
}

/** `x.content`, `x['content']`, or a name that stands for one. */
function isContent(node: Expression | null, names: ReadonlySet<string>): boolean {
  if (node === null) return false;
  if (node.kind === 'Name') return names.has(node.name);
  if (node.kind === 'Getattr') return node.name === 'content';
  if (node.kind === 'Filter' || node.kind === 'Getitem')
    return node.kind === 'Getitem' && node.item.kind === 'Const' && typeof node.item.value === 'string'
      ? node.item.value === 'content'
      : node.kind === 'Filter' && isContent(node.node, names);
  return false;
}

function filtersContent(node: Expression | null, names: ReadonlySet<string>): boolean {
  if (node === null) return false;
  if (node.kind === 'Filter' && LIST_FILTERS.has(node.name) && isContent(node.node, names)) return true;
  return childrenOf(node).some((child) => filtersContent(child, names));
}

/** Names that a statement makes stand for contents: `{% set x = message.content %}`, parameters of macros. */
function noteNames(statement: Statement, names: Set<string>, all: readonly Statement[]): void {
  const note = (target: Target | undefined) => {
    if (target?.kind === 'Name') names.add(target.name);
  };
  if (statement.kind === 'Set' && isContent(statement.node, names)) note(targetsOf(statement)[0]);
  if (statement.kind === 'With')
    for (const [target, value] of statement.values) if (isContent(value, names)) note(target);
  for (const node of expressionsOf(statement)) noteCalls(node, names, all);
}

function noteCalls(node: Expression | null, names: Set<string>, all: readonly Statement[]): void {
  if (node === null) return;
  if (node.kind === 'Call' && node.node.kind === 'Name') {
    const { name } = node.node;
    const macro = all.find((statement) => statement.kind === 'Macro' && statement.name === name);
    if (macro?.kind === 'Macro')
      for (const [i, arg] of node.args.entries())
        if (isContent(arg, names) && macro.parameters[i] !== undefined) names.add(macro.parameters[i]);
  }
  for (const child of childrenOf(node)) noteCalls(child, names, all);
}
