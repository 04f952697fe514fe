// Which names may become paths on this machine. Repository and file names come from users and from the
// network; both end in the cache folder, so everything that could lead out of it, or mean something else on
// another system, stops here. Rules of repository names: https://huggingface.co/docs/huggingface_hub
// (validate_repo_id).

const REPOSITORY_PART = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$/;
const REVISION = /^[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}$/;
const COMMIT = /^[0-9a-f]{40}$/;
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i;

/** True for an owner or a model name that the hub could have given out. */
export function isRepositoryPart(part: string): boolean {
  return (
    REPOSITORY_PART.test(part) &&
    !part.includes('..') &&
    !part.includes('--') &&
    !/[.-]$|\.git$/.test(part) &&
    !WINDOWS_DEVICE.test(part)
  );
}

/** True for a branch, tag, pull-request ref (`refs/pr/1`) or commit. */
export function isRevision(revision: string): boolean {
  return (
    REVISION.test(revision) && !revision.includes('..') && !revision.includes('//') && !revision.endsWith('/')
  );
}

/** True for a full commit id: its content can never change, so the cache needs no second look. */
export function isCommit(revision: string): boolean {
  return COMMIT.test(revision);
}

/**
 * Why a path inside a repository must not be written to disk, or null when it is harmless: relative, `/`
 * between its parts, no `.` or `..`, and nothing that Windows reads differently (backslash, colon, trailing
 * dot, device names).
 */
export function pathProblem(path: string): string | null {
  if (path.length === 0 || path.length > 1000) return `its length is ${path.length}, expected 1 to 1000`;
  if (hasControlCharacter(path)) return 'it contains a control character';
  if (/[\\:*?"<>|]/.test(path)) return 'it contains one of \\ : * ? " < > |';
  for (const part of path.split('/')) {
    if (part === '') return 'it is absolute or has an empty part';
    if (part === '.' || part === '..') return `it contains "${part}"`;
    if (part.length > 200) return 'one of its parts is longer than 200 characters';
    if (/[. ]$/.test(part)) return 'one of its parts ends in a dot or space';
    if (WINDOWS_DEVICE.test(part)) return `"${part}" is a device name on Windows`;
  }
  return null;
}

/** True for a path that no git tree can hold: a listing with such an entry was made to do harm. */
export function isImpossibleInGit(path: string): boolean {
  return path.includes('\0') || path.split('/').some((part) => part === '' || part === '.' || part === '..');
}

function hasControlCharacter(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 32 || code === 127) return true;
  }
  return false;
}

/**
 * Text from the network, fit for an error message: one line, no control characters, at most 200 characters.
 */
export function printable(text: string): string {
  const cleaned = Array.from(text, (character) => (hasControlCharacter(character) ? ' ' : character)).join(
    '',
  );
  return cleaned.length > 200 ? `${cleaned.slice(0, 200)}…` : cleaned;
}
