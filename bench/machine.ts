// The machine that figures belong to.
import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';

export interface MachineDescription {
  readonly processor: string;
  readonly processors: number;
  /** What of its instructions matters here. */
  readonly features: readonly string[];
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
  readonly v8: string;
  readonly peers: Readonly<Record<string, string>>;
  /** Processes waiting for a processor in the last minute, before the run: 0 is a quiet machine. */
  readonly loadBefore: number;
}

const FEATURES = ['avx2', 'avx512f', 'avx_vnni', 'avx512_vnni', 'asimd', 'asimddp', 'i8mm'];

export function describeMachine(): MachineDescription {
  const flags = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    processors: cpus().length,
    features: FEATURES.filter((name) => new RegExp(`\\b${name}\\b`).test(flags)),
    memoryBytes: totalmem(),
    system: `${process.platform} ${process.arch} ${release()}`,
    node: process.versions.node,
    v8: process.versions.v8,
    peers: {
      'node-llama-cpp': peerVersion('node-llama-cpp'),
      '@wllama/wllama': peerVersion('@wllama/wllama'),
    },
    loadBefore: loadavg()[0] ?? 0,
  };
}

function peerVersion(name: string): string {
  const path = join(import.meta.dirname, 'node_modules', name, 'package.json');
  if (!existsSync(path)) return 'not installed';
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
