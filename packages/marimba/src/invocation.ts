// How the user started this program, for messages that say what to run next.

/** "npx marimba" where npm or npx runs it, since nothing of that name need be on the PATH then. */
export const invocation = (): string => (process.env.npm_command ? 'npx marimba' : 'marimba');

/** The whole command as it was given, quoted for a shell. */
export const commandLine = (): string =>
  [
    invocation(),
    ...process.argv
      .slice(2)
      .map((part) => (/^[\w./:=,@+-]+$/.test(part) ? part : `'${part.replaceAll("'", "'\\''")}'`)),
  ].join(' ');
