// Finds and starts a Chromium that is installed on this machine; nothing is downloaded.
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const CANDIDATES = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

export const findChromium = (): string | null => CANDIDATES.find((path) => path && existsSync(path)) ?? null;

export function startChromium(executablePath: string): Promise<Browser> {
  // No sandbox: as root, and in containers, Chromium does not start with one. It only opens pages of this
  // project.
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
}
