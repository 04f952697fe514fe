// The public surface of an entry: every name that it exports, followed to the file that declares it.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Declaration, type DeclarationFile, readDeclarations } from './declarations.ts';

export class Declarations {
  readonly #files = new Map<string, DeclarationFile>();

  /**
   * Exported names of a declaration file, and local types that their declarations name, each with its
   * declaration, sorted by name.
   */
  surfaceOf(path: string): ReadonlyMap<string, Declaration> {
    const found = this.#exportsOf(path, new Set());
    // A Map grows while it is walked: local types of local types are met too.
    for (const declaration of found.values())
      for (const local of this.#localTypesOf(declaration))
        if (!found.has(local.name)) found.set(local.name, local);
    return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Types of the same file that a declaration names and the file keeps to itself: users still see them. */
  #localTypesOf(declaration: Declaration): Declaration[] {
    const file = [...this.#files.values()].find(({ declarations }) =>
      [...declarations.values()].includes(declaration),
    );
    return [...(file?.declarations.values() ?? [])].filter(
      ({ name, kind, exported }) =>
        !exported &&
        (kind === 'interface' || kind === 'type') &&
        new RegExp(`\\b${name}\\b`).test(declaration.text),
    );
  }

  #exportsOf(path: string, seen: Set<string>): Map<string, Declaration> {
    const found = new Map<string, Declaration>();
    if (seen.has(path)) return found;
    seen.add(path);
    const { declarations, reexports, stars } = this.#read(path);
    for (const [name, declaration] of declarations) if (declaration.exported) found.set(name, declaration);
    for (const star of stars)
      for (const [name, declaration] of this.#exportsOf(resolve(path, star), seen))
        found.set(name, declaration);
    for (const { name, local, path: from } of reexports)
      found.set(name, this.#find(from === null ? path : resolve(path, from), local));
    return found;
  }

  #find(path: string, name: string): Declaration {
    const { declarations, reexports, imports, stars } = this.#read(path);
    const own = declarations.get(name);
    if (own) return own;
    const listed = reexports.find((reexport) => reexport.name === name);
    if (listed?.path) return this.#find(resolve(path, listed.path), listed.local);
    const renamed = listed && listed.local !== name ? declarations.get(listed.local) : undefined;
    if (renamed) return renamed;
    const taken = imports.find((one) => one.name === (listed?.local ?? name));
    if (taken?.path) return this.#find(resolve(path, taken.path), taken.local);
    for (const star of stars) {
      const found = this.#exportsOf(resolve(path, star), new Set()).get(name);
      if (found) return found;
    }
    throw new Error(`${path}: expected a declaration of ${name}, found none`);
  }

  #read(path: string): DeclarationFile {
    let file = this.#files.get(path);
    if (!file) this.#files.set(path, (file = readDeclarations(readFileSync(path, 'utf8'))));
    return file;
  }
}

const resolve = (from: string, target: string): string =>
  join(dirname(from), target.replace(/\.(ts|js)$/, '.d.ts'));

/** `Name` or `Name.member` for everything public without a docstring. A member that a documented base explains is left out. */
export function undocumented(surface: ReadonlyMap<string, Declaration>): string[] {
  const missing: string[] = [];
  const explained = (declaration: Declaration, member: string): boolean =>
    declaration.bases.some((name) => {
      const base = surface.get(name);
      return (
        base !== undefined &&
        (base.members.some((m) => m.name === member && m.documented) || explained(base, member))
      );
    });
  for (const [name, declaration] of surface) {
    if (!declaration.documented) missing.push(name);
    for (const member of declaration.members)
      if (!member.documented && !explained(declaration, member.name)) missing.push(`${name}.${member.name}`);
  }
  return missing;
}

/** The surface as a text to be compared line by line. */
export function describe(entry: string, surface: ReadonlyMap<string, Declaration>): string {
  const header = `The public surface of ${entry}, written by \`npm run api\`. A change here is a change for its users.
Types that are not exported are listed where exported ones name them.`;
  return `${[header, ...[...surface].map(([, { text }]) => text)].join('\n\n')}\n`;
}
