// Reads the declarations that tsc writes: exports of a file, their text without comments, their docstrings and those of
// their members. TypeScript 7.0 has no compiler API; what tsc writes is regular enough for brackets and semicolons.

export interface Member {
  /** As written: `prefill`, `[Symbol.dispose]`, `constructor`. */
  readonly name: string;
  readonly documented: boolean;
}

export interface Declaration {
  readonly name: string;
  /** `class`, `interface`, `type`, `function`, `const`. */
  readonly kind: string;
  readonly exported: boolean;
  /** Without comments, one member per line. */
  readonly text: string;
  readonly documented: boolean;
  /** Of classes, interfaces and types made of object literals; empty for everything else. */
  readonly members: readonly Member[];
  /** The names after `extends`, without their arguments. */
  readonly bases: readonly string[];
}

/** `export { local as name } from 'path'`, also without `from`. */
export interface Reexport {
  readonly name: string;
  readonly local: string;
  /** Null where the name is this file's own. */
  readonly path: string | null;
}

export interface DeclarationFile {
  readonly declarations: ReadonlyMap<string, Declaration>;
  readonly reexports: readonly Reexport[];
  /** Names that the file takes from others; `export { name }` may hand them on. */
  readonly imports: readonly Reexport[];
  /** Of `export * from 'path'`. */
  readonly stars: readonly string[];
}

/** A statement or member with the comment before it. */
interface Piece {
  readonly comment: string;
  readonly text: string;
}

/**
 * Cuts at semicolons outside brackets, and after a closing brace that ends a body. Comments before a piece are kept apart,
 * those inside it stay.
 */
function pieces(source: string): Piece[] {
  const found: Piece[] = [];
  let [comment, text, depth] = ['', '', 0];
  const end = () => {
    if (text.trim()) found.push({ comment, text: text.trim() });
    [comment, text] = ['', ''];
  };
  for (const { 0: token } of source.matchAll(TOKENS)) {
    if (token.startsWith('/*') || token.startsWith('//')) {
      if (text.trim()) text += token;
      else comment = token;
      continue;
    }
    text += token;
    if (/^[{([]$/.test(token)) depth++;
    else if (/^[})\]]$/.test(token)) depth--;
    const closesBody =
      depth === 0 && token === '}' && HAS_BODY.test(text) && bodyStart(withoutComments(text)) >= 0;
    if (depth === 0 && (token === ';' || closesBody)) end();
  }
  end();
  return found;
}

/** Comments and strings whole, brackets and semicolons each, everything else in runs. `=>` is no bracket. */
const TOKENS =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`|[{}()[\];]|[^{}()[\];'"`/]+|\//g;

const HAS_BODY = /^\s*(export )?(declare )?(abstract )?(class|interface)\b/;

const isDocstring = (comment: string): boolean => /^\/\*\*(?!\/)/.test(comment) && /[A-Za-z]/.test(comment);

const withoutComments = (text: string): string =>
  text.replace(TOKENS, (token) => (/^\/[*/]/.test(token) ? ' ' : token));

const oneLine = (text: string): string =>
  withoutComments(text)
    .replace(/\s+/g, ' ')
    .replace(/([([{]) (?=\S)/g, (_, bracket: string) => (bracket === '{' ? '{ ' : bracket))
    .replace(/,? ([)\]])/g, '$1')
    .replace(/([=:]) \| /g, '$1 ')
    .trim();

export function readDeclarations(source: string): DeclarationFile {
  const declarations = new Map<string, Declaration>();
  const reexports: Reexport[] = [];
  const imports: Reexport[] = [];
  const stars: string[] = [];
  for (const { comment, text } of pieces(source)) {
    const list = /^export (?:type )?\{([\s\S]*)\}(?: from ['"]([^'"]+)['"])?;?$/.exec(text);
    const taken = /^import (?:type )?\{([\s\S]*)\} from ['"]([^'"]+)['"]/.exec(text);
    const star = /^export \* from ['"]([^'"]+)['"]/.exec(text);
    if (taken) imports.push(...namesOf(taken[1]!, taken[2]!));
    else if (star) stars.push(star[1]!);
    else if (list) reexports.push(...namesOf(list[1]!, list[2] ?? null));
    else {
      const declaration = readDeclaration(text, isDocstring(comment));
      if (!declaration) continue;
      // Overloads: one documented signature documents the function.
      const before = declarations.get(declaration.name);
      declarations.set(declaration.name, before ? merged(before, declaration) : declaration);
    }
  }
  return { declarations, reexports, imports, stars };
}

function namesOf(list: string, path: string | null): Reexport[] {
  return list
    .split(',')
    .map((entry) => entry.trim().replace(/^type /, ''))
    .filter(Boolean)
    .map((entry) => {
      const [local, name = local] = entry.split(/ as /);
      return { name: name!, local: local!, path };
    });
}

const HEAD =
  /^(?:export )?(?:declare )?(?:default )?(abstract class|class|interface|type|function|const|enum|namespace)\s+([A-Za-z_$][\w$]*)/;

function readDeclaration(text: string, documented: boolean): Declaration | null {
  const head = HEAD.exec(text);
  if (!head) return null;
  const kind = head[1]!.replace('abstract ', '');
  const exported = text.startsWith('export ');
  const plain = text.replace(/^export /, '').replace(/^declare /, '');
  const open = kind === 'class' || kind === 'interface' ? bodyStart(plain) : -1;
  if (open < 0) {
    const members = kind === 'type' ? membersOf(literalPieces(plain)) : [];
    return { name: head[2]!, kind, exported, text: oneLine(plain), documented, members, bases: [] };
  }
  const opening = oneLine(plain.slice(0, open));
  const members = pieces(plain.slice(open + 1, plain.lastIndexOf('}'))).filter(isVisible);
  const lines = members.map(({ text: member }) => `  ${oneLine(member)}`);
  return {
    name: head[2]!,
    kind,
    exported,
    text: [`${opening} {`, ...lines, '}'].join('\n'),
    documented,
    members: membersOf(members),
    bases: basesOf(opening),
  };
}

/**
 * Members of the object literals that a type is made of, those of all branches of a union together. Literals
 * in type arguments are patterns, and those in parentheses mostly belong to functions: neither is looked at.
 */
function literalPieces(text: string): Piece[] {
  const found: Piece[] = [];
  let [body, depth, angle] = ['', 0, 0];
  for (const { 0: token } of text.matchAll(TOKENS)) {
    if (/^[})\]]$/.test(token) && --depth === 0) {
      if (token === '}' && angle === 0) found.push(...pieces(body));
      body = '';
    }
    if (depth > 0) body += token;
    else if (!token.startsWith('/')) angle += count(token, /</g) - count(token, /(?<!=)>/g);
    if (/^[{([]$/.test(token)) depth++;
  }
  return found.filter(({ text: member }) => !member.startsWith('['));
}

const count = (text: string, what: RegExp): number => text.match(what)?.length ?? 0;

/** The brace that opens the body: the first one outside type arguments. */
function bodyStart(text: string): number {
  let angle = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '<') angle++;
    else if (c === '>' && text[i - 1] !== '=') angle--;
    else if (c === '{' && angle === 0) return i;
  }
  return -1;
}

const isVisible = ({ text }: Piece): boolean => !/^(#private|private |protected )/.test(text);

const memberName = (text: string): string =>
  /^(?:(?:readonly|static|abstract|override|get|set|async) )*(\[[^\]]+\]|[\w$]+|['"][^'"]+['"]|\(|<)/.exec(
    text,
  )?.[1] ?? text;

function membersOf(list: readonly Piece[]): Member[] {
  const members = new Map<string, Member>();
  for (const { comment, text } of list) {
    const name = memberName(text);
    const documented = isDocstring(comment) || members.get(name)?.documented === true;
    members.set(name, { name, documented });
  }
  return [...members.values()];
}

function basesOf(opening: string): string[] {
  const after = /\b(?:extends|implements) (.*)$/.exec(withoutArguments(opening))?.[1];
  return (after ?? '')
    .split(/,| implements /)
    .map((base) => base.trim())
    .filter(Boolean);
}

/** Drops everything between `<` and its `>`; that of `=>` ends nothing. */
function withoutArguments(text: string): string {
  let [out, angle] = ['', 0];
  for (const token of text.match(/=>|[\s\S]/g) ?? []) {
    if (token === '<') angle++;
    if (angle === 0) out += token;
    if (token === '>') angle--;
  }
  return out;
}

const merged = (a: Declaration, b: Declaration): Declaration => ({
  ...a,
  text: `${a.text}\n${b.text}`,
  documented: a.documented || b.documented,
  members: [...a.members, ...b.members],
  bases: [...a.bases, ...b.bases],
});
