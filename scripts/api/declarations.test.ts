import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readDeclarations } from './declarations.ts';
import { Declarations, undocumented } from './surface.ts';

const SOURCE = `import { type Far } from './far.ts';
/** A base. */
export declare abstract class Base<T extends object = {}> {
    #private;
    private hidden;
    /** Documented: a "string; with { brackets". */
    abstract readonly name: string;
    /** Closes. */
    close(options?: {
        /** Inside. */
        now: boolean;
    }): Promise<void>;
    bare: 'a;b';
}
export declare class Derived extends Base<Map<string, () => void>> {
    readonly name = "Derived";
    /** For \`using\`. */
    [Symbol.dispose](): void;
    get size(): number;
}
/** One of two. */
export type Either = /** first */ 'x' | 'y';
/** An event. */
export type Event = Extract<Local, { pattern: 1 }> | {
    /** Tag. */
    readonly kind: 'a';
    bare: number;
} | (Local & {
    nested: 1;
});
interface Local {
    /** Seen by users, though not exported. */
    seen: true;
    unseen: true;
}
export declare function twice(a: number): void;
/** With a string. */
export declare function twice(a: string): void;
declare const own: number;
export { own as renamed, type Far };
export * from './far.ts';
`;

describe('declarations', () => {
  const file = readDeclarations(SOURCE);
  const of = (name: string) => file.declarations.get(name)!;

  it('are read with kind, members and text', () => {
    assert.deepEqual(
      [...file.declarations.keys()],
      ['Base', 'Derived', 'Either', 'Event', 'Local', 'twice', 'own'],
    );
    assert.deepEqual(of('Derived').bases, ['Base']);
    assert.equal(
      of('Base').text,
      `abstract class Base<T extends object = {}> {
  abstract readonly name: string;
  close(options?: { now: boolean; }): Promise<void>;
  bare: 'a;b';
}`,
    );
    assert.equal(of('Either').text, "type Either = 'x' | 'y';");
  });

  it('know their docstrings, also of overloads', () => {
    const members = of('Base').members.map(({ name, documented }) => [name, documented]);
    assert.deepEqual(members, [
      ['name', true],
      ['close', true],
      ['bare', false],
    ]);
    assert.ok(of('twice').documented);
    assert.ok(!of('Derived').documented);
  });

  it('have the members of object literals outside type arguments', () => {
    const members = of('Event').members.map(({ name, documented }) => [name, documented]);
    assert.deepEqual(members, [
      ['kind', true],
      ['bare', false],
    ]);
  });

  it('are followed through re-exports; a documented base explains its members', () => {
    const folder = mkdtempSync(join(tmpdir(), 'marimba-declarations-'));
    try {
      writeFileSync(join(folder, 'near.d.ts'), SOURCE);
      writeFileSync(
        join(folder, 'far.d.ts'),
        'export interface Far {\n    x: 1;\n}\nexport interface Other {\n}\n',
      );
      writeFileSync(
        join(folder, 'index.d.ts'),
        "export { Derived, Base, Event, renamed, type Far, Other } from './near.ts';\n",
      );
      const surface = new Declarations().surfaceOf(join(folder, 'index.d.ts'));
      assert.deepEqual([...surface.keys()], ['Base', 'Derived', 'Event', 'Far', 'Local', 'Other', 'renamed']);
      assert.deepEqual(undocumented(surface), [
        'Base.bare',
        'Derived',
        'Derived.size',
        'Event.bare',
        'Far',
        'Far.x',
        'Local',
        'Local.unseen',
        'Other',
        'renamed',
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
