// What stands where a model's file should be, when it is no such file: a Git LFS pointer of a clone without
// git-lfs, a page that a server sent instead, a download that only reserved its room. Such a file is not
// damaged, and fetching it the same way again gives the same, so what it is and what helps is said instead.

import { FormatError } from '../errors.ts';
import type { ByteSource } from './types.ts';

/** Enough for every sign below; pointers are shorter than this. */
const START_BYTES = 512;

interface Sign {
  readonly matches: (text: string, bytes: Uint8Array) => boolean;
  /** `text`: the start of the file, one character per byte. */
  readonly found: (text: string) => string;
  readonly remedy: string;
}

const starts =
  (...prefixes: readonly string[]) =>
  (text: string) =>
    prefixes.some((prefix) => text.startsWith(prefix));
const firstLine = (text: string) =>
  JSON.stringify(
    text
      .trim()
      .split(/[\r\n]/)[0]!
      .slice(0, 80),
  );

const FETCH = 'Fetch the file itself: marimba pull OWNER/NAME, or the download link of its page.';
const CONVERT = 'Take a GGUF file or the safetensors files of the model, or convert it with llama.cpp.';

const ARCHIVES = [
  ['\x1f\x8b', 'gzip'],
  ['BZh', 'bzip2'],
  ['\xfd7zXZ', 'xz'],
  ['7z\xbc\xaf', '7z'],
  ['\x28\xb5\x2f\xfd', 'zstd'],
  ['Rar!', 'rar'],
] as const;

/** In the order in which they are tried. */
const SIGNS: readonly Sign[] = [
  {
    matches: starts('version https://git-lfs.github.com/spec/', 'version https://hawser.github.com/spec/'),
    found: (text) => `a Git LFS pointer to a file of ${/^size (\d+)$/m.exec(text)?.[1] ?? 'unknown'} bytes`,
    remedy: 'Run git lfs pull in the folder, or fetch the model with marimba pull OWNER/NAME.',
  },
  {
    matches: starts('# xet version'),
    found: () => 'a pointer to a file in Xet storage',
    remedy: FETCH,
  },
  {
    matches: (text) => /^[./]*(\.git)?\/annex\/objects\//.test(text),
    found: () => 'a git-annex pointer',
    remedy: 'Run git annex get in the folder.',
  },
  {
    matches: (text) => /^\s*<(!doctype|html|\?xml|head|error)/i.test(text.replace(/^\xef\xbb\xbf/, '')),
    found: () => 'a web page',
    remedy: `A server sent it instead of the file. ${FETCH}`,
  },
  {
    matches: (text) =>
      /^(Entry not found|Repository not found|Invalid |Unauthorized|Access to model|\s*\{\s*"error")/.test(
        text,
      ),
    found: (text) => `an answer of a server: ${firstLine(text)}`,
    remedy: 'Check the address, and for a gated model the token (HF_TOKEN).',
  },
  {
    matches: starts('\x00\x05\x16\x07', '\x00\x05\x16\x00'),
    found: () => 'a resource file of macOS (AppleDouble)',
    remedy: 'Name the file without "._" before its name.',
  },
  {
    matches: starts('PK\x03\x04', '\x80\x02', '\x80\x03', '\x80\x04'),
    found: () => 'a PyTorch checkpoint or a zip archive',
    remedy: CONVERT,
  },
  {
    matches: (text) => ARCHIVES.some(([start]) => text.startsWith(start)),
    found: (text) => `an archive (${ARCHIVES.find(([start]) => text.startsWith(start))![1]})`,
    remedy: 'Unpack it.',
  },
  {
    matches: starts('lmgg', 'fmgg', 'tjgg', 'algg', 'ggml', 'ggmf', 'ggjt'),
    found: () => 'a GGML file, the format before GGUF',
    remedy: 'Take the GGUF file of the model.',
  },
  { matches: starts('\x89HDF'), found: () => 'an HDF5 file (Keras)', remedy: CONVERT },
  {
    matches: starts('GGUF'),
    found: () => 'a GGUF file',
    remedy: 'Give it a name that ends in .gguf, and open it alone.',
  },
  {
    matches: (text, bytes) => text[8] === '{' && bytes.subarray(4, 8).every((byte) => byte === 0),
    found: () => 'a safetensors file',
    remedy: 'Give it a name that ends in .safetensors, in a folder with its config.json.',
  },
  {
    matches: starts('\xff\xfe', '\xfe\xff'),
    found: () => 'text in UTF-16',
    remedy: 'Save it in UTF-8.',
  },
  {
    matches: (_, bytes) => bytes.length > 0 && bytes.every((byte) => byte === 0),
    found: () => 'zeros',
    remedy: 'Its room was reserved, but the download did not come to an end; fetch it again.',
  },
  {
    matches: (_, bytes) => bytes.length === 0,
    found: () => 'an empty file',
    remedy: 'The download did not begin; fetch it again.',
  },
];

/** The error for a file whose start shows what it is instead of `expected`; null where it shows nothing. */
export function impostor(
  name: string,
  expected: string,
  start: Uint8Array,
  byteLength: number,
): FormatError | null {
  const bytes = start.subarray(0, START_BYTES);
  const text = String.fromCharCode(...bytes);
  const sign = SIGNS.find(({ matches, found }) => matches(text, bytes) && found(text) !== expected);
  if (!sign) return null;
  const size = byteLength > 0 ? ` (${byteLength} bytes)` : '';
  return new FormatError(`${name}: expected ${expected}, found ${sign.found(text)}${size}. ${sign.remedy}`);
}

/** The same, reading the start of the file. */
export async function impostorIn(source: ByteSource, expected: string): Promise<FormatError | null> {
  const start = new Uint8Array(Math.min(START_BYTES, source.byteLength));
  await source.read(0, start);
  return impostor(source.name, expected, start, source.byteLength);
}
