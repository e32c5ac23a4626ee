import { basename, dirname, join } from 'node:path';

/** The folder of the bundle that is running: `dist/`, wherever it was installed. */
const DIST = basename(import.meta.dirname) === 'chunks' ? dirname(import.meta.dirname) : import.meta.dirname;

/** The command line's own file, to start it again. */
export const CLI_FILE = join(DIST, 'waddle.js');

/** What starts a TypeScript or JavaScript entry. */
export const BOOT_FILE = join(DIST, 'boot.js');

/** The thread of a team's collector that takes in. */
export const INTAKE_FILE = join(DIST, 'intake-worker.js');

/** Makes `waddleml/client` resolve in Node jobs that have not installed it. */
export const RESOLVE_FILE = join(DIST, 'resolve-client.cjs');

/** What the commands take, for completion; not there where Waddle runs from its sources. */
export const SHAPES_FILE = join(DIST, 'commands.json');

/** The built page of `waddle serve`. */
export const DASHBOARD_FOLDER = join(DIST, 'dashboard');

/** The folder that holds the Python package `waddle`, and nothing else: beside `dist/` in a checkout, an npm package and a wheel. */
export const PYTHON_FOLDER = join(DIST, '..', 'python');
