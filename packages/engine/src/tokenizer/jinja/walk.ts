// What stands inside what, for those who walk a parsed template.

import type { Body, Expression, Statement, Target } from './nodes.ts';

/** The expressions directly inside one; null for those that are left out. */
export function childrenOf(node: Expression): readonly (Expression | null)[] {
  switch (node.kind) {
    case 'Const':
    case 'Name':
      return [];
    case 'List':
    case 'Tuple':
      return node.items;
    case 'Dict':
      return node.items.flat();
    case 'Getattr':
    case 'Not':
    case 'Neg':
    case 'Pos':
      return [node.node];
    case 'Getitem':
      return [node.node, node.item];
    case 'Slice':
      return [node.start, node.stop, node.step];
    case 'Call':
    case 'Filter':
    case 'Test':
      return [
        node.node,
        ...node.args,
        ...node.kwargs.map(([, value]) => value),
        node.moreArgs,
        node.moreKwargs,
      ];
    case 'Binary':
    case 'And':
    case 'Or':
      return [node.left, node.right];
    case 'Concat':
      return node.nodes;
    case 'Compare':
      return [node.node, ...node.rest.map(([, right]) => right)];
    case 'Conditional':
      return [node.test, node.value, node.otherwise];
    default:
      return node satisfies never;
  }
}

/** The expressions directly inside a statement. */
export function expressionsOf(statement: Statement): readonly (Expression | null)[] {
  switch (statement.kind) {
    case 'Output':
    case 'Set':
      return [statement.node];
    case 'If':
      return statement.branches.map(([test]) => test);
    case 'For':
      return [statement.iterable, statement.test];
    case 'SetBlock':
    case 'FilterBlock':
      return [statement.filter];
    case 'With':
      return statement.values.map(([, value]) => value);
    case 'CallBlock':
      return [statement.call, ...statement.defaults];
    case 'Macro':
    case 'Generation':
      return statement.defaults;
    case 'Autoescape':
      return [statement.enabled];
    case 'Import':
      return [statement.template];
    case 'Block':
    case 'Data':
    case 'Break':
    case 'Continue':
      return [];
    default:
      return statement satisfies never;
  }
}

/** The statements directly inside one. */
export function statementsOf(statement: Statement): readonly Statement[] {
  switch (statement.kind) {
    case 'If':
      return [...statement.branches.flatMap(([, statements]) => statements), ...statement.otherwise];
    case 'For':
      return [...statement.body.statements, ...(statement.otherwise?.statements ?? [])];
    default:
      return 'body' in statement ? (statement.body as Body).statements : [];
  }
}

/** What a statement sets, the names of macros aside. */
export function targetsOf(statement: Statement): readonly Target[] {
  if (statement.kind === 'Set' || statement.kind === 'SetBlock' || statement.kind === 'For')
    return [statement.target];
  return statement.kind === 'With' ? statement.values.map(([target]) => target) : [];
}
