/** One line on stderr. A client must not fail because there is no stderr, or a full disk under it. */
export function say(message: string): void {
  try {
    process.stderr.write(`waddle: ${message}\n`);
  } catch {
    // Nobody is there to read it.
  }
}

export function isStrict(): boolean {
  return process.env.WADDLE_STRICT === '1';
}
