// Serves this workspace's sources to a browser as they are: type annotations are stripped on the way,
// `#platform` and the packages that the engine uses are found by rewriting the import, since import maps do
// not reach workers. For tests and measurements; an application would use a bundler.
import { createReadStream, existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

export interface ServeOptions {
  /** Folder whose files are served; nothing outside it is. */
  readonly root: string;
  /** Send the headers that make a page cross-origin isolated, so that it may share memory between threads. */
  readonly isolated: boolean;
  /** Further files by path: a model in a cache folder, a page. */
  readonly files?: Readonly<Record<string, string>>;
  readonly pages?: Readonly<Record<string, string>>;
}

export interface Served {
  readonly origin: string;
  close(): Promise<void>;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.ts': 'text/javascript',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};
const IMPORTS: Readonly<Record<string, string>> = {
  '#platform': '/packages/engine/src/platform/platform.browser.ts',
  '#open-source': '/packages/engine/src/platform/open-source.browser.ts',
  '@huggingface/jinja': '/node_modules/@huggingface/jinja/dist/index.js',
};

export async function serve(options: ServeOptions): Promise<Served> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    respond(options, path, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function respond(options: ServeOptions, path: string, response: ServerResponse): Promise<void> {
  response.setHeader('Cache-Control', 'no-store');
  if (options.isolated) {
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
  }
  const page = options.pages?.[path];
  if (page !== undefined) {
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(page);
    return;
  }
  const file = options.files?.[path] ?? join(options.root, normalize(`/${path}`));
  if (!existsSync(file) || !statSync(file).isFile()) {
    response.writeHead(404).end(`${path}: not found`);
    return;
  }
  response.setHeader('Content-Type', TYPES[extname(file)] ?? 'application/octet-stream');
  if (extname(file) === '.ts') {
    response.end(rewriteImports(stripTypeScriptTypes(await readFile(file, 'utf8'))));
    return;
  }
  response.setHeader('Content-Length', statSync(file).size);
  createReadStream(file).pipe(response);
}

function rewriteImports(source: string): string {
  return source.replace(
    /(\bfrom\s*|\bimport\s*\(?\s*)(['"])([^'"\n]+)\2/g,
    (whole, before: string, quote: string, name: string) =>
      IMPORTS[name] ? `${before}${quote}${IMPORTS[name]}${quote}` : whole,
  );
}
