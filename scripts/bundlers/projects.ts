// The smallest project of each bundler that uses the engine in a page, as its documentation would have it set up.

export interface Project {
  readonly name: string;
  /** Installed beside the engine, exact versions. */
  readonly packages: readonly string[];
  readonly files: Readonly<Record<string, string>>;
  /** Starts a development server on this port. */
  dev(port: number): readonly string[];
  readonly build: readonly string[];
  /** The folder that `build` fills. */
  readonly built: string;
  /** Where files lie that are served as they are. */
  readonly statics: string;
  /** Files of node_modules that are copied there: from, to. */
  readonly copies?: Readonly<Record<string, string>>;
  /** The line that an error names where a mode needs one that this project lacks. */
  readonly remedy?: { readonly development?: RegExp; readonly built?: RegExp };
}

/** Loads a model, reads a prompt, and says in the title how it went. */
const PROGRAM = `import { loadModel } from '@marimba/engine';

async function run() {
  const model = await loadModel(new URL('/model.gguf', location.href), { threads: 2 });
  const logits = await model.createSession().prefill([1, 2, 3]);
  const { backend } = model.describe();
  await model.close();
  return \`ready: \${logits.length} logits, \${backend}\`;
}
run().then(
  (text) => { document.title = text; },
  (error) => { document.title = \`failed: \${error.code ?? error.name}: \${error.message}\`; },
);
`;

const page = (script: string): string =>
  `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>loading</title>${script}`;

const HEADERS =
  "{ 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }";

const ESBUILD = ['esbuild', 'main=main.js', '--bundle', '--format=esm', '--outdir=dist'];
const WORKER_ENTRY = 'backends/wasm/worker=node_modules/@marimba/engine/backends/wasm/worker.js';
const COPY = /copy node_modules\/@marimba\/engine\/backends\/wasm\/build to http/;

export const PROJECTS: readonly Project[] = [
  {
    name: 'vite',
    packages: ['vite@8.3.8'],
    files: {
      'index.html': page('<script type="module" src="/main.js"></script>'),
      'main.js': PROGRAM,
      'vite.config.js': `export default {
  optimizeDeps: { exclude: ['@marimba/engine'] },
  worker: { format: 'es' },
  server: { headers: ${HEADERS} },
};
`,
    },
    dev: (port) => ['vite', '--host', '127.0.0.1', '--port', `${port}`, '--strictPort'],
    build: ['vite', 'build'],
    built: 'dist',
    statics: 'public',
  },
  {
    name: 'vite, headers only',
    packages: ['vite@8.3.8'],
    files: {
      'index.html': page('<script type="module" src="/main.js"></script>'),
      'main.js': PROGRAM,
      'vite.config.js': `export default { server: { headers: ${HEADERS} } };\n`,
    },
    dev: (port) => ['vite', '--host', '127.0.0.1', '--port', `${port}`, '--strictPort'],
    build: ['vite', 'build'],
    built: 'dist',
    statics: 'public',
  },
  {
    name: 'webpack',
    packages: ['webpack@5.113.0', 'webpack-cli@7.3.1', 'webpack-dev-server@6.1.0'],
    files: {
      'src/index.js': PROGRAM,
      'public/index.html': page('<script src="/main.js"></script>'),
      'webpack.config.js': `module.exports = {
  devServer: { static: 'public', headers: ${HEADERS}, client: { overlay: false } },
};
`,
    },
    dev: (port) => ['webpack', 'serve', '--mode', 'development', '--host', '127.0.0.1', '--port', `${port}`],
    build: ['webpack', '--mode', 'production'],
    built: 'dist',
    statics: 'public',
  },
  {
    name: 'next',
    packages: ['next@16.4.6', 'react@19.3.1', 'react-dom@19.3.1'],
    files: {
      'app/layout.js':
        'export default function Layout({ children }) { return <html><body>{children}</body></html>; }\n',
      'app/page.js': `'use client';
import { useEffect } from 'react';
export default function Page() {
  useEffect(() => void import('../main.js'), []);
  return <p>engine</p>;
}
`,
      'main.js': PROGRAM,
      'next.config.mjs': "export default { output: 'export' };\n",
    },
    dev: (port) => ['next', 'dev', '-H', '127.0.0.1', '-p', `${port}`],
    // Turbopack's own build does not end with this worker (16.4.6); its development server is fine.
    build: ['next', 'build', '--webpack'],
    built: 'out',
    statics: 'public',
  },
  {
    name: 'esbuild',
    packages: ['esbuild@0.28.2'],
    files: {
      'main.js': PROGRAM,
      'dist/index.html': page('<script type="module" src="/main.js"></script>'),
    },
    dev: (port) => [...ESBUILD, WORKER_ENTRY, '--servedir=dist', `--serve=127.0.0.1:${port}`],
    build: [...ESBUILD, WORKER_ENTRY],
    built: 'dist',
    statics: 'dist',
    copies: { '@marimba/engine/backends/wasm/build': 'build' },
  },
  {
    name: 'esbuild, without configuration',
    packages: ['esbuild@0.28.2'],
    files: {
      'main.js': PROGRAM,
      'dist/index.html': page('<script type="module" src="/main.js"></script>'),
    },
    dev: (port) => [...ESBUILD, '--servedir=dist', `--serve=127.0.0.1:${port}`],
    build: ESBUILD,
    built: 'dist',
    statics: 'dist',
    remedy: { development: COPY, built: COPY },
  },
];
