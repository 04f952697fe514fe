// The token for the hub, where huggingface_hub keeps it: HF_TOKEN, else the file that `hf auth login` wrote.

import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface SavedToken {
  readonly token: string;
  /** The variable or file that it comes from. */
  readonly origin: string;
}

/** Null where there is none. HF_HUB_DISABLE_IMPLICIT_TOKEN=1: only the variables. */
export async function savedToken(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<SavedToken | null> {
  for (const origin of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN']) {
    const token = environment[origin]?.trim();
    if (token) return { token, origin };
  }
  if (/^(1|true|yes|on)$/i.test(environment.HF_HUB_DISABLE_IMPLICIT_TOKEN ?? '')) return null;
  const home = (path: string) => path.replace(/^~(?=$|[/\\])/, homedir());
  const caches = environment.XDG_CACHE_HOME?.trim() || join(homedir(), '.cache');
  const folder = home(environment.HF_HOME?.trim() || join(caches, 'huggingface'));
  const path = home(environment.HF_TOKEN_PATH?.trim() || join(folder, 'token'));
  const token = (await readFile(path, 'utf8').catch(() => '')).trim();
  return token ? { token, origin: path } : null;
}
