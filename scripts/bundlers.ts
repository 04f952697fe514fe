// `npm run test:bundlers [-- NAME]`: installs the built engine into a fresh project of each bundler and opens what its
// development server and its build serve in Chromium. Not part of the tests: it fetches the bundlers from the registry.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { findChromium, startChromium } from '../packages/engine/test/browser/chromium.ts';
import { serve } from '../packages/engine/test/browser/serve.ts';
import { build } from './build.ts';
import { PROJECTS, type Project } from './bundlers/projects.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const MODEL = join(root, 'fixtures/golden/gguf/llama-tiny.f32.gguf');
const WAIT_MS = 120_000;

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    timeout: 300_000,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit code ${status}\n${stdout}${stderr}`);
  return stdout;
}

function setUp(project: Project, tarball: string, folder: string): void {
  for (const [name, text] of Object.entries(project.files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true }));
  mkdirSync(join(folder, project.statics), { recursive: true });
  cpSync(MODEL, join(folder, project.statics, 'model.gguf'));
  run(
    'npm',
    ['install', '--no-audit', '--no-fund', '--loglevel=error', tarball, ...project.packages],
    folder,
  );
  for (const [from, to] of Object.entries(project.copies ?? {}))
    cpSync(join(folder, 'node_modules', from), join(folder, project.statics, to), { recursive: true });
}

/** What the page's title says once it is done. */
async function titleOf(browser: Browser, url: string): Promise<string> {
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  try {
    for (const deadline = Date.now() + WAIT_MS; Date.now() < deadline; ) {
      await page.goto(url).catch(() => {}); // the server may not listen yet
      const done = page.waitForFunction(() => /^(ready|failed)/.test(document.title), null, {
        timeout: 20_000,
      });
      if (await done.catch(() => null)) return await page.title();
    }
    return `nothing: ${problems.join('; ') || 'the page stayed as it was'}`;
  } finally {
    await page.close();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function inDevelopment(project: Project, folder: string, browser: Browser): Promise<string> {
  const port = await freePort();
  const [bin, ...args] = project.dev(port);
  const command = join(folder, 'node_modules/.bin', bin!);
  // An open standard input: esbuild's server ends with it.
  const server = spawn(command, args, { cwd: folder, stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  try {
    return await titleOf(browser, `http://127.0.0.1:${port}/`);
  } finally {
    if (server.exitCode === null) process.kill(-server.pid!, 'SIGKILL');
  }
}

async function whenBuilt(project: Project, folder: string, browser: Browser): Promise<string> {
  const [bin, ...args] = project.build;
  run(join(folder, 'node_modules/.bin', bin!), args, folder);
  const built = join(folder, project.built);
  for (const name of ['model.gguf', 'index.html'])
    if (!existsSync(join(built, name))) cpSync(join(folder, project.statics, name), join(built, name));
  const index = readFileSync(join(built, 'index.html'), 'utf8');
  const served = await serve({ root: built, isolated: true, pages: { '/': index } });
  try {
    return await titleOf(browser, `${served.origin}/`);
  } finally {
    await served.close();
  }
}

const executable = findChromium();
if (!executable) throw new Error('bundlers: expected Chromium, found none; set CHROMIUM_PATH');
const packages = await build();
const engine = packages.find(({ name }) => name === '@marimba/engine')!;
const work = mkdtempSync(join(tmpdir(), 'marimba-bundlers-'));
const browser = await startChromium(executable);
try {
  const tarball = join(
    work,
    run('npm', ['pack', '--pack-destination', work, '--loglevel=error'], engine.dist).trim(),
  );
  for (const project of PROJECTS.filter(({ name }) => name.includes(process.argv[2] ?? ''))) {
    const folder = join(work, project.name.replace(/\W+/g, '-'));
    mkdirSync(folder);
    setUp(project, tarball, folder);
    for (const [mode, open] of [
      ['development', inDevelopment],
      ['built', whenBuilt],
    ] as const) {
      const title = await open(project, folder, browser).catch((error: unknown) => `failed: ${error}`);
      const passed = (project.remedy?.[mode] ?? /^ready/).test(title);
      process.stdout.write(`${passed ? '✓' : '✗'} ${project.name}, ${mode}: ${title}\n`);
      if (!passed) process.exitCode = 1;
    }
  }
} finally {
  await browser.close();
  rmSync(work, { recursive: true, force: true });
}
