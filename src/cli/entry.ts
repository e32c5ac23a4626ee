/**
 * The first file that Node reads. It must load on any Node, however old, to say clearly that it is too old; so it imports
 * nothing that is new and hands over as soon as the version is known.
 */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `waddle: Node.js ${process.versions.node} is too old; install Node.js 22.18 or newer (https://nodejs.org)\n`,
  );
  process.exitCode = 1;
} else {
  const emitWarning = process.emitWarning;
  // node:sqlite still calls itself experimental; that is our concern, not the user's.
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    if (String(warning).includes('SQLite is an experimental feature')) return;
    (emitWarning as (...args: unknown[]) => void).call(process, warning, ...rest);
  }) as typeof process.emitWarning;
  const { main } = await import('./main.ts');
  await main();
}
