// A digest of a WebAssembly module that does not depend on the order of its functions. Binaryen orders functions that are
// called equally often by their names, and a name holds the path of its file: moving or renaming a function changes the bytes
// of a build though no function changed. This digest stays, so it is the gate of refactoring.
//
//   node scripts/kernel-digest.ts [FILE.wasm…]     prints the digests of these files, or of the builds as checked in at
//                                                  HEAD and as they lie here, and says which differ
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Binaryen {
  readonly Features: { readonly All: number };
  readBinary(bytes: Uint8Array): { setFeatures(features: number): void; emitText(): string; dispose(): void };
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
const withoutTypes = (text: string): string => text.replace(/\(type \$[^\s)]+\)/g, '(type)');

/** Texts of the functions by name, and the other lines of the module. */
function split(text: string): { functions: Map<string, string>; others: string[] } {
  const functions = new Map<string, string>();
  const others: string[] = [];
  let name: string | undefined;
  let lines: string[] = [];
  for (const line of text.split('\n')) {
    const opening = /^ \(func \$([^\s)]+)/.exec(line);
    if (opening) {
      name = opening[1]!;
      lines = [line.replace(opening[0], '(func')];
    } else if (name === undefined) {
      if (!line.startsWith(' (type ')) others.push(withoutTypes(line));
    } else {
      lines.push(line);
      if (line === ' )') {
        functions.set(name, withoutTypes(lines.join('\n')));
        name = undefined;
      }
    }
  }
  return { functions, others };
}

/**
 * Names of functions are replaced by digests of what they name, refined as often as calls are deep: after n
 * rounds a digest tells functions apart by their code and by that of everything n calls below.
 */
export async function functionsDigest(wasm: Uint8Array): Promise<string> {
  // A dependency of the compiler, which reads and prints any module.
  const path = join(root, 'node_modules/binaryen/index.js');
  const { default: binaryen } = (await import(path)) as { default: Binaryen };
  const module = binaryen.readBinary(wasm);
  module.setFeatures(binaryen.Features.All);
  const { functions, others } = split(module.emitText());
  module.dispose();
  const reference = /\b(call|ref\.func|return_call) \$([^\s)]+)/g;
  let digests = new Map<string, string>();
  for (let round = 0; round < 9; round++) {
    const named = (text: string) =>
      text.replace(reference, (_, kind: string, name: string) => `${kind} ${digests.get(name) ?? '_'}`);
    digests = new Map([...functions].map(([name, text]) => [name, hash(named(text))]));
  }
  const exported = others.map((line) =>
    line.replace(/\(func \$([^\s)]+)\)/, (_, name: string) => `(func ${digests.get(name) ?? name})`),
  );
  return hash([...digests.values()].sort().join('\n') + exported.sort().join('\n'));
}

async function compareWithHead(): Promise<void> {
  const folder = 'packages/engine/src/backends/wasm/build';
  for (const build of ['relaxed', 'pairs', 'baseline']) {
    const path = `${folder}/kernels.${build}.wasm`;
    const before = await functionsDigest(
      execFileSync('git', ['show', `HEAD:${path}`], { cwd: root, maxBuffer: 2 ** 26 }),
    );
    const now = await functionsDigest(readFileSync(join(root, path)));
    process.stdout.write(
      `${build.padEnd(9)} ${before === now ? `the same functions  ${now}` : `${before} -> ${now}`}\n`,
    );
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = process.argv.slice(2);
  if (files.length === 0) await compareWithHead();
  for (const file of files) process.stdout.write(`${await functionsDigest(readFileSync(file))}  ${file}\n`);
}
