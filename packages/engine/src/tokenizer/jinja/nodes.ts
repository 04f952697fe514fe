// A parsed template. Names of nodes are Jinja2's.

interface At {
  readonly line: number;
}

/** `name(args, key=value, *more, **rest)` */
export interface Arguments {
  readonly args: readonly Expression[];
  readonly kwargs: readonly (readonly [name: string, value: Expression])[];
  readonly moreArgs: Expression | null;
  readonly moreKwargs: Expression | null;
}

export type BinaryOperator = '+' | '-' | '*' | '/' | '//' | '%' | '**';
export type CompareOperator = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in';

export type Expression = At &
  (
    | { readonly kind: 'Const'; readonly value: null | boolean | bigint | number | string }
    | { readonly kind: 'Name'; readonly name: string }
    | { readonly kind: 'List' | 'Tuple'; readonly items: readonly Expression[] }
    | { readonly kind: 'Dict'; readonly items: readonly (readonly [Expression, Expression])[] }
    | { readonly kind: 'Getattr'; readonly node: Expression; readonly name: string }
    | { readonly kind: 'Getitem'; readonly node: Expression; readonly item: Expression }
    | {
        readonly kind: 'Slice';
        readonly start: Expression | null;
        readonly stop: Expression | null;
        readonly step: Expression | null;
      }
    | (Arguments & { readonly kind: 'Call'; readonly node: Expression })
    | FilterNode
    | (Arguments & { readonly kind: 'Test'; readonly node: Expression; readonly name: string })
    | {
        readonly kind: 'Binary';
        readonly operator: BinaryOperator;
        readonly left: Expression;
        readonly right: Expression;
      }
    | { readonly kind: 'And' | 'Or'; readonly left: Expression; readonly right: Expression }
    | { readonly kind: 'Not' | 'Neg' | 'Pos'; readonly node: Expression }
    | { readonly kind: 'Concat'; readonly nodes: readonly Expression[] }
    | {
        readonly kind: 'Compare';
        readonly node: Expression;
        readonly rest: readonly (readonly [CompareOperator, Expression])[];
      }
    | {
        readonly kind: 'Conditional';
        readonly test: Expression;
        readonly value: Expression;
        readonly otherwise: Expression | null;
      }
  );

/** `node` null: the text of the block that it stands on. */
export type FilterNode = At &
  Arguments & { readonly kind: 'Filter'; readonly node: Expression | null; readonly name: string };

/** What can be assigned to. */
export type Target = At &
  (
    | { readonly kind: 'Name'; readonly name: string }
    | { readonly kind: 'Attribute'; readonly name: string; readonly attribute: string }
    | { readonly kind: 'Tuple'; readonly items: readonly Target[] }
  );

/** Parameters of a macro or call block; defaults belong to the last ones. */
export interface Signature {
  readonly parameters: readonly string[];
  readonly defaults: readonly Expression[];
}

/** What a name begins as: a parameter, a passed variable, the outer part's value, nothing. */
export type Load = 'parameter' | 'resolve' | 'alias' | 'undefined';

/** What to do with names when a part of a template is entered; parameters are set by who enters. */
export type FrameSymbols = readonly (readonly [name: string, load: Exclude<Load, 'parameter'>])[];

/** A part of a template with names of its own. `symbols` are found after parsing. */
export interface Body {
  readonly statements: readonly Statement[];
  symbols: FrameSymbols | null;
}

/** What a macro's body makes of names that it does not declare. */
export interface SpecialNames {
  caller: boolean;
  kwargs: boolean;
  varargs: boolean;
}

export type Callable = Signature & { readonly body: Body; readonly special: SpecialNames };

export type ForNode = At & {
  readonly kind: 'For';
  readonly target: Target;
  readonly iterable: Expression;
  readonly test: Expression | null;
  /** Names of the condition, which knows the target but not `loop`. */
  readonly testBody: Body;
  readonly recursive: boolean;
  readonly body: Body;
  readonly otherwise: Body | null;
};

export type Statement = At &
  (
    | { readonly kind: 'Data'; readonly text: string }
    | { readonly kind: 'Output'; readonly node: Expression }
    | {
        readonly kind: 'If';
        readonly branches: readonly (readonly [test: Expression, statements: readonly Statement[]])[];
        readonly otherwise: readonly Statement[];
      }
    | ForNode
    | { readonly kind: 'Break' | 'Continue' }
    | { readonly kind: 'Set'; readonly target: Target; readonly node: Expression }
    | {
        readonly kind: 'SetBlock';
        readonly target: Target;
        readonly filter: FilterNode | null;
        readonly body: Body;
      }
    | {
        readonly kind: 'With';
        readonly values: readonly (readonly [Target, Expression])[];
        readonly body: Body;
      }
    | (Callable & { readonly kind: 'Macro'; readonly name: string })
    | (Callable & { readonly kind: 'CallBlock'; readonly call: Expression & { kind: 'Call' } })
    | (Callable & { readonly kind: 'Generation' })
    | { readonly kind: 'FilterBlock'; readonly filter: FilterNode; readonly body: Body }
    | { readonly kind: 'Autoescape'; readonly enabled: Expression; readonly body: Body }
    | {
        readonly kind: 'Block';
        readonly name: string;
        readonly scoped: boolean;
        readonly required: boolean;
        readonly body: Body;
      }
    /** Other templates: there are none. */
    | {
        readonly kind: 'Import';
        readonly tag: string;
        readonly template: Expression;
        readonly names: string[];
      }
  );
