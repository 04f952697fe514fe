// Where fetched models lie on this machine, and what is there.
//   {cache}/models/{owner}/{name}/refs/{revision}            the commit that a branch or tag last pointed to
//   {cache}/models/{owner}/{name}/{commit}/…                 the files of that commit, as named in the repository
//   {cache}/models/{owner}/{name}/{commit}/.marimba/listing.json   all files of the commit, to choose again without network
//   …/{file}.partial, .partial.json, .lock                   a download under way or interrupted
// A file under its final name is whole and verified: it gets that name by a rename after its checksum was
// right.

import { randomUUID } from 'node:crypto';
import {
  copyFile,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  writeFile,
} from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { HubError } from '../errors.ts';
import { formatListing, type HubFile, parseListing } from './api.ts';
import { chooseFiles } from './choose.ts';
import type { RepositoryCache } from './locate.ts';
import { isHeld } from './lock.node.ts';
import { isCommit, isRepositoryPart, isRevision } from './names.ts';
import { formatReference, type HubReference, parseHubReference } from './reference.ts';

export interface CacheOptions {
  /** Replaces the system's cache folder; models lie in `models/` inside. */
  readonly cacheFolder?: string | undefined;
}

export interface CachedModel {
  readonly repository: string;
  readonly commit: string;
  /** Branches and tags that pointed here when they were last asked for. */
  readonly revisions: readonly string[];
  readonly folder: string;
  readonly files: readonly { readonly path: string; readonly byteLength: number }[];
  readonly byteLength: number;
  /** Bytes of interrupted downloads that a new pull continues. */
  readonly partialByteLength: number;
}

/** MARIMBA_CACHE, or the system's place for things that can be fetched again. */
export function defaultCacheFolder(
  environment: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
  home: string = homedir(),
): string {
  if (environment.MARIMBA_CACHE) return path.resolve(environment.MARIMBA_CACHE);
  if (environment.XDG_CACHE_HOME) return path.resolve(environment.XDG_CACHE_HOME, 'marimba');
  if (platform === 'win32')
    return path.join(environment.LOCALAPPDATA ?? path.join(home, 'AppData', 'Local'), 'marimba', 'cache');
  if (platform === 'darwin') return path.join(home, 'Library', 'Caches', 'marimba');
  return path.join(home, '.cache', 'marimba');
}

export function modelsFolder(options: CacheOptions): string {
  return path.join(options.cacheFolder ? path.resolve(options.cacheFolder) : defaultCacheFolder(), 'models');
}

/** `repository` has passed `isRepositoryPart` twice, so this stays inside the cache. */
export function repositoryFolder(options: CacheOptions, repository: string): string {
  return path.join(modelsFolder(options), ...repository.split('/'));
}

/** The commit recorded for a revision, or null. */
async function readRef(repositoryPath: string, revision: string): Promise<string | null> {
  if (isCommit(revision)) return revision;
  const text = await readText(path.join(repositoryPath, 'refs', encodeURIComponent(revision)));
  return text !== null && isCommit(text.trim()) ? text.trim() : null;
}

export async function writeRef(repositoryPath: string, revision: string, commit: string): Promise<void> {
  if (isCommit(revision)) return;
  await writeWhole(path.join(repositoryPath, 'refs', encodeURIComponent(revision)), `${commit}\n`);
}

/** The stored listing of a commit; null when there is none, or it is damaged and must be fetched again. */
async function readListing(commitFolder: string): Promise<HubFile[] | null> {
  const text = await readText(listingPath(commitFolder));
  if (text === null) return null;
  try {
    return parseListing(JSON.parse(text), listingPath(commitFolder));
  } catch {
    return null;
  }
}

export async function writeListing(commitFolder: string, files: readonly HubFile[]): Promise<void> {
  await writeWhole(listingPath(commitFolder), JSON.stringify(formatListing(files)));
}

/** True when the file lies there under its final name. Its content was verified before it got that name. */
export async function isComplete(commitFolder: string, file: HubFile): Promise<boolean> {
  return (await sizeOf(path.join(commitFolder, file.path))) === file.byteLength;
}

export function repositoryCache(repositoryPath: string): RepositoryCache {
  return {
    commitOf: (revision) => readRef(repositoryPath, revision),
    listing: (commit) => readListing(path.join(repositoryPath, commit)),
    has: (commit, file) => isComplete(path.join(repositoryPath, commit), file),
  };
}

/**
 * Takes a file from another commit of the same repository when its checksum is the same: a new README must
 * not cost six gigabytes. Returns whether `target` exists now.
 */
export async function reuseFromOtherCommit(
  repositoryPath: string,
  file: HubFile,
  target: string,
): Promise<boolean> {
  if (file.digest.algorithm !== 'sha256') return false;
  for (const commit of (await namesIn(repositoryPath)).filter(isCommit)) {
    const folder = path.join(repositoryPath, commit);
    const twin = (await readListing(folder))?.find(({ digest }) => digest.hex === file.digest.hex);
    if (twin === undefined || !(await isComplete(folder, twin))) continue;
    const source = path.join(folder, twin.path);
    if (source === target) continue;
    await link(source, target).catch(async () => {
      const copy = `${target}.${randomUUID()}.partial`;
      await copyFile(source, copy);
      await rename(copy, target);
    });
    return true;
  }
  return false;
}

/** Every commit in the cache that holds files, by name. Anything else in the folder is left out. */
export async function listCachedModels(options: CacheOptions = {}): Promise<CachedModel[]> {
  const root = modelsFolder(options);
  const models: CachedModel[] = [];
  for (const owner of (await namesIn(root)).filter(isRepositoryPart)) {
    for (const name of (await namesIn(path.join(root, owner))).filter(isRepositoryPart)) {
      models.push(...(await listCommits(path.join(root, owner, name), `${owner}/${name}`)));
    }
  }
  return models;
}

async function listCommits(repositoryPath: string, repository: string): Promise<CachedModel[]> {
  const revisions = new Map<string, string[]>();
  for (const encoded of await namesIn(path.join(repositoryPath, 'refs'))) {
    const revision = decodeName(encoded);
    const commit = isRevision(revision) ? await readRef(repositoryPath, revision) : null;
    if (commit !== null) revisions.set(commit, [...(revisions.get(commit) ?? []), revision]);
  }
  const models: CachedModel[] = [];
  for (const commit of (await namesIn(repositoryPath)).filter(isCommit)) {
    const folder = path.join(repositoryPath, commit);
    const { files, partialByteLength } = await measure(folder);
    if (files.length === 0 && partialByteLength === 0) continue;
    const byteLength = files.reduce((sum, file) => sum + file.byteLength, 0);
    models.push({
      repository,
      commit,
      revisions: revisions.get(commit) ?? [],
      folder,
      files,
      byteLength,
      partialByteLength,
    });
  }
  return models;
}

async function measure(folder: string): Promise<Pick<CachedModel, 'files' | 'partialByteLength'>> {
  const files: { path: string; byteLength: number }[] = [];
  let partialByteLength = 0;
  for (const name of (await readdir(folder, { recursive: true }).catch(() => [])).sort()) {
    const relative = name.split(path.sep).join('/');
    if (relative.startsWith('.marimba') || /\.(lock|partial\.json)$/.test(relative)) continue;
    const byteLength = await sizeOf(path.join(folder, name));
    if (byteLength === null) continue;
    if (relative.endsWith('.partial')) partialByteLength += byteLength;
    else files.push({ path: relative, byteLength });
  }
  return { files, partialByteLength };
}

/**
 * Deletes from the cache: `owner/name` all of it, `owner/name@revision` one commit, with `:quantisation` or
 * `/file.gguf` only those files. Returns what was freed. Throws HubError when nothing is there or a download
 * is using it.
 */
export async function removeCachedModel(
  reference: string | HubReference,
  options: CacheOptions = {},
): Promise<{ removedByteLength: number }> {
  const parsed = typeof reference === 'string' ? parseHubReference(reference) : reference;
  const shown = formatReference(parsed);
  const repositoryPath = repositoryFolder(options, parsed.repository);
  const wanted = parsed.revision === null ? null : await readRef(repositoryPath, parsed.revision);
  const cached = await listCommits(repositoryPath, parsed.repository);
  const models = cached.filter(({ commit }) => parsed.revision === null || commit === wanted);
  if (models.length === 0)
    throw new HubError(`${shown}: not in the cache (${modelsFolder(options)})`, { code: 'not-found' });
  const whole = parsed.quantization === null && parsed.file === null;
  for (const model of models) await refuseIfBusy(model.folder, shown);
  const before = models.reduce((sum, model) => sum + model.byteLength + model.partialByteLength, 0);
  for (const model of models) {
    if (whole) await rm(model.folder, { recursive: true, force: true });
    else await removeChosen(model.folder, parsed);
  }
  if (whole) await removeRefs(repositoryPath, models);
  const left = await Promise.all(models.map(({ folder }) => measure(folder)));
  const after = left.reduce((sum, { files, partialByteLength }) => {
    return sum + partialByteLength + files.reduce((part, file) => part + file.byteLength, 0);
  }, 0);
  return { removedByteLength: before - after };
}

async function removeChosen(folder: string, reference: HubReference): Promise<void> {
  const listing = await readListing(folder);
  if (listing === null) return;
  for (const file of chooseFiles(listing, reference).files) {
    for (const ending of ['', '.partial', '.partial.json'])
      await rm(path.join(folder, file.path + ending), { force: true });
  }
}

async function removeRefs(repositoryPath: string, models: readonly CachedModel[]): Promise<void> {
  for (const revision of models.flatMap((model) => model.revisions)) {
    await rm(path.join(repositoryPath, 'refs', encodeURIComponent(revision)), { force: true });
  }
  // Folders that are empty now; rmdir refuses the others.
  for (const folder of [path.join(repositoryPath, 'refs'), repositoryPath, path.dirname(repositoryPath)]) {
    await rmdir(folder).catch(() => undefined);
  }
}

async function refuseIfBusy(folder: string, shown: string): Promise<void> {
  for (const name of await readdir(folder, { recursive: true })) {
    if (!name.endsWith('.lock') || !(await isHeld(path.join(folder, name)))) continue;
    throw new HubError(
      `${shown}: ${name.slice(0, -'.lock'.length)} is being downloaded by another process; stop it first`,
    );
  }
}

/** Size of a regular file, or null. */
export async function sizeOf(file: string): Promise<number | null> {
  const found = await stat(file).catch(() => null);
  return found?.isFile() ? found.size : null;
}

/** Undoes encodeURIComponent; the empty string, which is no revision, for names that it cannot have made. */
function decodeName(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return '';
  }
}

function listingPath(commitFolder: string): string {
  return path.join(commitFolder, '.marimba', 'listing.json');
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}

async function readText(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch(() => null);
}

/** Readers see the old content or the new, never a half. */
async function writeWhole(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  // No revision starts with ~, so one left behind by a crash is never read.
  const temporary = path.join(path.dirname(file), `~${randomUUID()}`);
  await writeFile(temporary, text);
  await rename(temporary, file);
}
