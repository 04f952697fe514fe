// Loads the compiled kernels and instantiates them over a memory. One compiled module serves every thread.

import { allowWideSimd, readAsset } from '#platform';
import { ModelError } from '../../errors.ts';
import type { LinearMemory } from '../../memory/arena.ts';
import { OP_KINDS } from '../../plan/ops.ts';
import type { WideSimd } from '../../platform/types.ts';

export type KernelVariant = 'relaxed' | 'baseline';
/** A compiled file; `pairs` is `relaxed` for processors on which the engine emulates the int8 dot product. */
export type KernelBuild = KernelVariant | 'pairs';
export type Kernel = (op: number, thread: number, threads: number) => void;
export type KernelExports = Record<string, (...args: number[]) => number>;

/** Static data of the kernels lies below this address; the arena starts here. */
export const ARENA_BASE = 65_536;

/**
 * A module of three instructions: an engine that accepts it has relaxed SIMD
 * (i32x4.relaxed_dot_i8x16_i7x16_add_s).
 */
const RELAXED_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32,
  1, 32, 2, 253, 147, 2, 11,
]);

export const hasRelaxedSimd = (): boolean => WebAssembly.validate(RELAXED_PROBE);

/**
 * Returns i32x4.relaxed_dot_i8x16_i7x16_add_s of bytes 127 and 255: what an engine makes of operands outside
 * the definition.
 */
const DOT_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 112, 0, 0, 10, 23, 1, 21, 0,
  65, 255, 0, 253, 15, 65, 127, 253, 15, 65, 0, 253, 17, 253, 147, 2, 253, 27, 0, 11,
]);

/**
 * Whether the int8 dot product is emulated through saturated i16 pairs (x86 without AVX-VNNI): 2 * 32,767
 * then, where a processor with the instruction gives 4 * 127 * 255 (x86) or 4 * 127 * -1 (ARM).
 */
function emulatesByteDot(): boolean {
  const { p } = new WebAssembly.Instance(new WebAssembly.Module(DOT_PROBE)).exports;
  return (p as () => number)() === 65_534;
}

let forced: KernelBuild | null = null;

/** Serves every variant by one build from now on; null ends that. For tests, which run all on every machine. */
export function forceBuild(build: KernelBuild | null): void {
  forced = build;
}

/** The build that serves a variant on this processor. */
export const buildFor = (variant: KernelVariant): KernelBuild =>
  forced ?? (variant === 'relaxed' && emulatesByteDot() ? 'pairs' : variant);

/** Each address whole: bundlers find files by literals, and not all of them (Next.js) look into templates. */
const KERNEL_FILES: Readonly<Record<KernelBuild, () => URL>> = {
  relaxed: () => new URL('./build/kernels.relaxed.wasm', import.meta.url),
  pairs: () => new URL('./build/kernels.pairs.wasm', import.meta.url),
  baseline: () => new URL('./build/kernels.baseline.wasm', import.meta.url),
};

const compiled = new Map<string, Promise<WebAssembly.Module>>();

/** The kernels of a variant; for memory that is not shared, the module's import is changed to say so. */
export function compileKernels(
  variant: KernelVariant,
  shared: boolean,
  wideSimd: WideSimd = 'auto',
): Promise<WebAssembly.Module> {
  return compileBuild(buildFor(variant), shared, wideSimd);
}

/**
 * Compiles a build once per process: models that are loaded later share its machine code, and V8 optimises
 * its functions once (loading a tiny model: 120 → 20 ms of processor time).
 */
export function compileBuild(
  build: KernelBuild,
  shared: boolean,
  wideSimd: WideSimd = 'auto',
): Promise<WebAssembly.Module> {
  const key = `${build} ${shared} ${allowWideSimd(wideSimd)}`;
  const module = compiled.get(key) ?? readAndCompile(build, shared);
  compiled.set(key, module);
  module.catch(() => compiled.delete(key));
  return module;
}

async function readAndCompile(build: KernelBuild, shared: boolean): Promise<WebAssembly.Module> {
  const url = KERNEL_FILES[build]();
  const bytes = await readAsset(url);
  if (!shared) unshareMemory(bytes);
  return compileFile(bytes, url.pathname.slice(url.pathname.lastIndexOf('/') + 1));
}

/** What the engine calls besides the kernels of ops. */
const ROUTINES = ['packRows', 'useWideTiles'];
const REMEDY = 'Run npm run build:kernels in a checkout; elsewhere install @marimba/engine again.';

/** Compiles a file of kernels. One that lacks any is refused here, rather than in the middle of a step. */
export async function compileFile(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<WebAssembly.Module> {
  const module = await WebAssembly.compile(bytes).catch((cause: unknown) => {
    throw new ModelError(`${name}: expected WebAssembly that this engine compiles: ${cause}. ${REMEDY}`, {
      code: 'missing-kernels',
      cause,
    });
  });
  const found = new Set(WebAssembly.Module.exports(module).map((entry) => entry.name));
  const missing = [...OP_KINDS, ...ROUTINES].filter((kernel) => !found.has(kernel));
  if (!missing.length) return module;
  throw new ModelError(
    `${name}: expected the kernels of every op, found none of ${missing.join(', ')}: ` +
      `the file is of another version. ${REMEDY}`,
    { code: 'missing-kernels' },
  );
}

/**
 * Clears the "shared" bit in the limits of the import env.memory (WebAssembly core specification, 5.5.5 and
 * 5.3.7).
 */
function unshareMemory(bytes: Uint8Array): void {
  const name = [3, 101, 110, 118, 6, 109, 101, 109, 111, 114, 121, 2]; // "env" "memory", kind memory
  const at = bytes.findIndex((_, i) => name.every((byte, k) => bytes[i + k] === byte));
  if (at < 0 || bytes[at + name.length] !== 3)
    throw new Error('kernels: expected an import of shared memory, found none');
  bytes[at + name.length] = 1;
}

/** `wide`: whether products are cut for 256-bit operations; must be what the module was compiled with. */
export function instantiateKernels(
  module: WebAssembly.Module,
  memory: LinearMemory,
  wide: boolean = allowWideSimd(),
): KernelExports {
  const env = {
    memory: memory as WebAssembly.Memory,
    abort: (_message: number, _file: number, line: number) => {
      throw new Error(`kernel aborted at line ${line}`);
    },
  };
  const kernels = new WebAssembly.Instance(module, { env }).exports as KernelExports;
  kernels.useWideTiles!(wide ? 1 : 0);
  return kernels;
}
