// What the word MODEL on a command line or in loadModel() means: a local path, a URL, or a name on the hub.
// The spellings are those that people bring along:
//   owner/name                       Hugging Face
//   owner/name@revision              a branch, tag or commit
//   owner/name:Q4_K_M                one quantisation of a GGUF repository (llama.cpp, ollama)
//   owner/name/file.gguf             one file (of a split file: all of its parts)
//   hf.co/…  huggingface.co/…  hf://…  https://huggingface.co/…/{tree,blob,resolve}/revision/file.gguf

import { UsageError } from '../errors.ts';
import { isRepositoryPart, isRevision, pathProblem, printable } from './names.ts';

/** A model on the hub. */
export interface HubReference {
  readonly kind: 'hub';
  /** `owner/name`. */
  readonly repository: string;
  /** Null means the hub's default branch, `main`. */
  readonly revision: string | null;
  /** As written by the user, such as `Q4_K_M`; compared without regard to case. */
  readonly quantization: string | null;
  /** Path of one GGUF file inside the repository. */
  readonly file: string | null;
}

export type ModelReference =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string }
  | HubReference;

const HUB_HOSTS = new Set(['huggingface.co', 'www.huggingface.co', 'hf.co']);
const QUANTIZATION = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,40}$/;

/**
 * Reads a MODEL string. Something that exists on disk is always a path, so `existsLocally` is asked first; in
 * a browser nothing exists. Throws UsageError for text that can be neither a path nor a hub name.
 */
export function parseReference(
  text: string,
  existsLocally: (path: string) => boolean = () => false,
): ModelReference {
  if (text.trim() === '')
    throw new UsageError('MODEL is empty; expected a path, a URL or a hub name (owner/name)');
  if (text.includes('\0')) throw new UsageError('MODEL contains a NUL character');
  if (/^https?:\/\//i.test(text)) return parseUrl(text);
  if (/^hf:\/\//i.test(text)) return parseHubReference(text.slice(5));
  const hosted = /^(?:huggingface\.co|hf\.co)\/(.+)$/i.exec(text);
  if (hosted !== null && !existsLocally(text)) return parseHubReference(hosted[1] ?? '');
  if (isPlainlyPath(text) || existsLocally(text)) return { kind: 'path', path: text };
  return parseHubReference(text);
}

/** Starts like a path, holds a backslash, or has too few parts for a hub name. */
function isPlainlyPath(text: string): boolean {
  if (/^([./~]|[A-Za-z]:[\\/]|file:)/.test(text) || text.includes('\\')) return true;
  const parts = text.split('/').length;
  return parts < 2 || (parts === 2 && /\.(gguf|safetensors|json)$/i.test(text));
}

/** Reads `owner/name`, with `@revision` and one of `:quantization` and `/file.gguf`. Throws UsageError. */
export function parseHubReference(text: string): HubReference {
  const match = /^([^/@:]+)\/([^/@:]+)(?:@([^:]+?))?(?::([^/:@]+)|\/(.+\.gguf))?$/i.exec(text);
  if (match === null)
    throw refuse(text, 'expected owner/name, owner/name@revision, owner/name:Q4_K_M or owner/name/file.gguf');
  const [, owner = '', name = '', revision = null, quantization = null, file = null] = match;
  for (const part of [owner, name]) {
    if (!isRepositoryPart(part))
      throw refuse(text, `"${printable(part)}" cannot be part of a repository name`);
  }
  if (revision !== null && !isRevision(revision))
    throw refuse(text, `"${printable(revision)}" is no revision`);
  if (quantization !== null && !QUANTIZATION.test(quantization)) {
    throw refuse(text, `"${printable(quantization)}" is no quantisation (such as Q4_K_M)`);
  }
  const problem = file === null ? null : pathProblem(file);
  if (problem !== null) throw refuse(text, `the file name is refused: ${problem}`);
  // ollama writes `:latest` where nothing was chosen.
  const chosen = quantization?.toLowerCase() === 'latest' ? null : quantization;
  return { kind: 'hub', repository: `${owner}/${name}`, revision, quantization: chosen, file };
}

function parseUrl(text: string): ModelReference {
  if (!URL.canParse(text)) throw new UsageError(`${printable(text)}: not a valid URL`);
  const url = new URL(text);
  if (!HUB_HOSTS.has(url.hostname)) return { kind: 'url', url: url.href };
  const [owner = '', name = '', view, revision, ...rest] = decodePath(url.pathname, text)
    .split('/')
    .filter(Boolean);
  const base = parseHubReference(`${owner}/${name}`);
  if (view === undefined) return base;
  const file = rest.length > 0 ? rest.join('/') : null;
  const known = ['tree', 'blob', 'resolve'].includes(view) && revision !== undefined && isRevision(revision);
  if (!known || (file !== null && !/\.gguf$/i.test(file))) {
    throw refuse(text, 'expected the page of a repository, of one revision, or of one .gguf file');
  }
  const problem = file === null ? null : pathProblem(file);
  if (problem !== null) throw refuse(text, `the file name is refused: ${problem}`);
  return { ...base, revision, file };
}

function decodePath(path: string, text: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw refuse(text, 'its path is not valid percent-encoding');
  }
}

/** The shortest text that parses to this reference again. */
export function formatReference(reference: HubReference): string {
  const revision = reference.revision === null ? '' : `@${reference.revision}`;
  const quantization = reference.quantization === null ? '' : `:${reference.quantization}`;
  const file = reference.file === null ? '' : `/${reference.file}`;
  return `${reference.repository}${revision}${quantization}${file}`;
}

function refuse(text: string, reason: string): UsageError {
  return new UsageError(`${printable(text)}: neither an existing path nor a hub name: ${reason}`);
}
