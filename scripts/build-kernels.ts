// Compiles the AssemblyScript kernels to WebAssembly, once per instruction set:
//   relaxed   relaxed SIMD (int8 dot products, fused multiply-add)
//   pairs     the same with i16 accumulators: for processors on which V8 has no single instruction for the int8 dot product
//             (x86 without AVX-VNNI), where it is 1.6 x faster; see kernels/linear/packed-dot.ts
//   baseline  plain SIMD, for engines without relaxed SIMD
//
// The three files are checked in, so that a clone runs without compiling. digests.json says what each was compiled from: a
// digest of the sources without comments and without white space, so that a changed comment compiles nothing.
//
//   npm run build:kernels                          compiles what is stale
//   npm run build:kernels -- --only relaxed        … of this build only
//   npm run build:kernels -- --check               compiles aside and compares with the files checked in
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { expandKernels } from '../packages/engine/src/backends/wasm/kernels/build/expand.ts';
import { functionsDigest } from './kernel-digest.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, 'packages/engine/src/backends/wasm/build');
const digestsFile = join(output, 'digests.json');
/** Builds that this checkout compiled itself: `--check` need not compile them again. */
const verifiedFile = join(root, '.cache/kernels-verified.json');

const BUILDS = {
  relaxed: '--enable relaxed-simd --use PAIR_DOT=0',
  pairs: '--enable relaxed-simd --use PAIR_DOT=1',
  baseline: '--use PAIR_DOT=1',
};
type Build = keyof typeof BUILDS;
const ALL = Object.keys(BUILDS) as Build[];
const FLAGS =
  '-O3 --noAssert --runtime stub --importMemory --sharedMemory --initialMemory 16 --maximumMemory 65536 --enable simd --enable threads';
/** Of one build on a core of 3 GHz, measured. */
const SECONDS_PER_BUILD = 60;
const REMEDY = 'Run `npm run build:kernels` and commit packages/engine/src/backends/wasm/build.';

/** What digests.json says of a build. */
interface Digests {
  /** Of the sources, the flags and the compiler's version. */
  readonly sources: string;
  /** Of the .wasm. */
  readonly sha256: string;
  /** Of its functions in any order (kernel-digest.ts). */
  readonly functions: string;
}

const file = (build: Build, folder = output): string => join(folder, `kernels.${build}.wasm`);
const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

function readJson<T>(path: string): Partial<Record<Build, T>> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Partial<Record<Build, T>>;
  } catch {
    return {}; // absent, or left with the marks of a merge: as if nothing was compiled
  }
}

function writeJson(path: string, value: object): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * A source as the compiler sees it: without comments, and with white space only where two words would run
 * together.
 */
export function withoutComments(source: string): string {
  const tokens = source.matchAll(
    /\/\/.*|\/\*[\s\S]*?\*\/|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|[\w$@]+|\s+|[\s\S]/g,
  );
  let text = '';
  let last = '';
  let apart = false;
  for (const [token] of tokens) {
    if (/^(\s|\/\/|\/\*)/.test(token)) {
      apart = true;
      continue;
    }
    if (
      apart &&
      ((/[\w$@]$/.test(last) && /^[\w$@]/.test(token)) || (/[-+]$/.test(last) && /^[-+]/.test(token)))
    )
      text += ' ';
    // A comma before a closing bracket is the formatter's.
    if (/^[)\]}]/.test(token) && last === ',') text = text.slice(0, -1);
    text += token;
    last = token;
    apart = false;
  }
  return text;
}

/** The sources as they are now, and what each build would be compiled from. */
function readSources(): {
  files: ReadonlyMap<string, string>;
  digests: Record<Build, string>;
} {
  const files = expandKernels();
  const hash = createHash('sha256').update(compilerVersion()).update(FLAGS);
  for (const [path, text] of files) hash.update(`\0${path}\0`).update(withoutComments(text));
  const shared = hash.digest('hex');
  const of = (build: Build) => sha256(`${shared} ${BUILDS[build]}`);
  return { files, digests: { relaxed: of('relaxed'), pairs: of('pairs'), baseline: of('baseline') } };
}

/** The exact version that package.json asks for, so that nothing needs to be installed to ask. */
function compilerVersion(): string {
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  return devDependencies.assemblyscript!;
}

/** Removes folders of builds that were interrupted: those whose process is gone. */
function removeLeftovers(): void {
  for (const name of readdirSync(output)) {
    const pid = Number(/^compiling-(\d+)-/.exec(name)?.[1]);
    if (!pid) continue;
    try {
      process.kill(pid, 0);
    } catch {
      rmSync(join(output, name), { recursive: true, force: true });
    }
  }
}

/** On a terminal one line that is rewritten every second; elsewhere a line as each build begins and ends. */
class BuildProgress {
  readonly #running = new Map<Build, number>();
  readonly #total: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #begun = 0;

  constructor(total: number) {
    this.#total = total;
    if (process.stderr.isTTY) this.#timer = setInterval(() => this.#show(), 1000);
  }

  begin(build: Build): void {
    this.#running.set(build, performance.now());
    this.#begun++;
    if (process.stderr.isTTY) this.#show();
    else
      this.#line(
        `Compiling kernels ${this.#begun}/${this.#total} (${build}) …, about ${SECONDS_PER_BUILD} s each`,
      );
  }

  end(build: Build): void {
    const seconds = this.#seconds(build);
    this.#running.delete(build);
    this.#line(`Compiled kernels (${build}) in ${seconds} s`);
  }

  close(): void {
    clearInterval(this.#timer);
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }

  #seconds(build: Build): number {
    return Math.round((performance.now() - this.#running.get(build)!) / 1000);
  }

  #show(): void {
    const running = [...this.#running.keys()].map((build) => `${build} ${this.#seconds(build)} s`).join(', ');
    const text = `Compiling kernels ${this.#begun}/${this.#total} (${running}) …, about ${SECONDS_PER_BUILD} s each`;
    process.stderr.write(`\r\x1b[K${text}`);
  }

  #line(text: string): void {
    process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${text}\n`);
  }
}

function compile(build: Build, folder: string): Promise<void> {
  const args = [
    join(root, 'node_modules/assemblyscript/bin/asc.js'),
    // Relative: the compiler names functions after their files, and orders them by name.
    'kernels/index.ts',
    '-o',
    `kernels.${build}.wasm`,
    ...FLAGS.split(' '),
    ...BUILDS[build].split(' '),
  ];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0
        ? resolve()
        : reject(new Error(`kernels: compiling ${build} ended with exit code ${code}\n${said}`)),
    );
  });
}

/** Compiles as many builds at a time as there are processors, in a folder aside that `use` gets. */
async function compileAside(
  files: ReadonlyMap<string, string>,
  builds: readonly Build[],
  use: (folder: string) => Promise<void>,
): Promise<void> {
  mkdirSync(output, { recursive: true });
  const aside = mkdtempSync(join(output, `compiling-${process.pid}-`));
  for (const [path, text] of files) {
    mkdirSync(dirname(join(aside, 'kernels', path)), { recursive: true });
    writeFileSync(join(aside, 'kernels', path), text);
  }
  const progress = new BuildProgress(builds.length);
  const waiting = [...builds];
  const work = async (): Promise<void> => {
    for (let build = waiting.shift(); build; build = waiting.shift()) {
      progress.begin(build);
      await compile(build, aside);
      progress.end(build);
    }
  };
  try {
    await Promise.all(builds.slice(0, availableParallelism()).map(work));
    progress.close();
    await use(aside);
  } finally {
    progress.close();
    rmSync(aside, { recursive: true, force: true });
  }
}

function markVerified(builds: readonly Build[]): void {
  const digests = readJson<Digests>(digestsFile);
  const known = readJson<string>(verifiedFile);
  for (const build of builds) known[build] = verification(digests[build]!);
  writeJson(verifiedFile, known);
}

const verification = ({ sources, sha256 }: Digests): string => `${sources} ${sha256}`;

/** Compiles the builds whose sources have changed; the three .wasm that are checked in are replaced. */
export async function buildKernels(builds: readonly Build[] = ALL): Promise<void> {
  const { files, digests: sources } = readSources();
  const digests = readJson<Digests>(digestsFile);
  if (existsSync(output)) removeLeftovers();
  const stale = builds.filter(
    (build) =>
      digests[build]?.sources !== sources[build] ||
      !existsSync(file(build)) ||
      digests[build].sha256 !== sha256(readFileSync(file(build))),
  );
  if (stale.length === 0) return;
  // Compiled aside and moved into place, so that a program that starts meanwhile finds whole files, old or
  // new.
  await compileAside(files, stale, async (aside) => {
    for (const build of stale) {
      const bytes = readFileSync(file(build, aside));
      digests[build] = {
        sources: sources[build],
        sha256: sha256(bytes),
        functions: await functionsDigest(bytes),
      };
      renameSync(file(build, aside), file(build));
    }
    writeJson(digestsFile, Object.fromEntries(ALL.filter((b) => digests[b]).map((b) => [b, digests[b]])));
  });
  markVerified(stale);
}

/**
 * Holds that the files checked in are what the sources compile to; builds compiled here before are believed.
 */
async function checkKernels(): Promise<void> {
  const { files, digests: sources } = readSources();
  const digests = readJson<Digests>(digestsFile);
  const verified = readJson<string>(verifiedFile);
  for (const build of ALL) {
    const name = relative(root, file(build));
    if (!existsSync(file(build)) || !digests[build])
      throw new Error(`${name}: expected the compiled kernels, found none. ${REMEDY}`);
    if (digests[build].sources !== sources[build])
      throw new Error(
        `${name}: expected a build of the kernels' present sources, found an older one. ${REMEDY}`,
      );
    const found = sha256(readFileSync(file(build)));
    if (found !== digests[build].sha256)
      throw new Error(`${name}: expected sha256 ${digests[build].sha256}, found ${found}. ${REMEDY}`);
  }
  const unverified = ALL.filter((build) => verified[build] !== verification(digests[build]!));
  if (unverified.length === 0) return;
  await compileAside(files, unverified, async (aside) => {
    for (const build of unverified) {
      const compiled = sha256(readFileSync(file(build, aside)));
      if (compiled !== digests[build]!.sha256)
        throw new Error(
          `${relative(root, file(build))}: expected what its sources compile to (sha256 ${compiled}), found ` +
            `${digests[build]!.sha256}. Remove the file, then: ${REMEDY}`,
        );
    }
  });
  markVerified(unverified);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, check: { type: 'boolean', default: false } },
  });
  if (values.only !== undefined && !(values.only in BUILDS))
    throw new Error(`--only: expected ${ALL.join(', ')}, found ${values.only}`);
  try {
    if (values.check) await checkKernels();
    else await buildKernels(values.only === undefined ? ALL : [values.only as Build]);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
