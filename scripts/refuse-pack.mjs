// `npm pack` and `npm publish` in a package's source folder: its exports are TypeScript, which Node refuses
// inside node_modules. Only the built dist/ folder, whose manifest lacks this script, can be published.
console.error(
  'npm pack: expected a built package, found sources. Run `npm run build`, then pack dist/ of this folder.',
);
process.exitCode = 1;
