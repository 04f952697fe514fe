// Compiles the AssemblyScript kernels to WebAssembly, once per instruction set:
//   relaxed   relaxed SIMD (int8 dot products, fused multiply-add)
//   pairs     the same with i16 accumulators: for processors on which V8 has no single instruction for the int8 dot product
//             (x86 without AVX-VNNI), where it is 1.6 x faster; see kernels/packed-dot.ts
//   baseline  plain SIMD, for engines without relaxed SIMD
// The result carries a digest of its sources, so an unchanged tree is not compiled again.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fieldsOf, HEADER_WORDS, OP_KINDS } from '../packages/engine/src/plan/ops.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const kernels = join(root, 'packages/engine/src/backends/wasm/kernels');
const output = join(root, 'packages/engine/src/backends/wasm/build');
const VARIANTS = {
  relaxed: '--enable relaxed-simd --use PAIR_DOT=0',
  pairs: '--enable relaxed-simd --use PAIR_DOT=1',
  baseline: '--use PAIR_DOT=1',
};
const FLAGS =
  '-O3 --noAssert --runtime stub --importMemory --sharedMemory --initialMemory 16 --maximumMemory 65536 --enable simd --enable threads';

/** Byte offsets of the fields of each op record, as constants for the kernels. */
function opLayoutSource(): string {
  const constant = (text: string) => text.replace(/([A-Z])/g, '_$1').toUpperCase();
  const lines = [
    '// Generated from plan/ops.ts by scripts/build-kernels.ts. Byte offsets of the fields of each op record.',
  ];
  for (const kind of OP_KINDS) {
    fieldsOf(kind).forEach((name, i) => {
      lines.push('// @ts-ignore: decorator');
      lines.push(
        `@inline export const ${constant(kind)}_${constant(name)}: usize = ${(HEADER_WORDS + i) * 4};`,
      );
    });
  }
  return `${lines.join('\n')}\n`;
}

function digest(): string {
  const hash = createHash('sha256')
    .update(FLAGS)
    .update(readFileSync(fileURLToPath(import.meta.url)));
  for (const file of globSync('**/*.ts', { cwd: kernels }).sort())
    hash.update(file).update(readFileSync(join(kernels, file)));
  return hash.digest('hex');
}

function compile(variant: keyof typeof VARIANTS, folder: string): Promise<void> {
  const args = [
    join(root, 'node_modules/assemblyscript/bin/asc.js'),
    relative(root, join(kernels, 'index.ts')),
    '-o',
    relative(root, join(folder, `kernels.${variant}.wasm`)),
    ...FLAGS.split(' '),
    ...VARIANTS[variant].split(' '),
  ];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('close', (code) =>
      code === 0
        ? resolve()
        : reject(new Error(`kernels: compiling ${variant} failed with exit code ${code}`)),
    );
  });
}

export async function buildKernels(): Promise<void> {
  const layout = join(kernels, 'op-layout.ts');
  if (!existsSync(layout) || readFileSync(layout, 'utf8') !== opLayoutSource())
    writeFileSync(layout, opLayoutSource());
  const stamp = join(output, 'digest.txt');
  const now = digest();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === now) return;
  process.stderr.write('Compiling the WebAssembly kernels …\n');
  mkdirSync(output, { recursive: true });
  // Compiled aside and moved into place, so that a program that starts meanwhile finds whole files, old or new.
  const aside = mkdtempSync(join(output, 'compiling-'));
  try {
    const variants = Object.keys(VARIANTS) as (keyof typeof VARIANTS)[];
    await Promise.all(variants.map((variant) => compile(variant, aside)));
    for (const variant of variants)
      renameSync(join(aside, `kernels.${variant}.wasm`), join(output, `kernels.${variant}.wasm`));
    writeFileSync(stamp, now);
  } finally {
    rmSync(aside, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildKernels();
