import { resolve } from 'node:path';
import { isCollectorFolder } from '../collector/folder-backend.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import type { Context } from './context.ts';
import { inert } from './inert.ts';

const DEFAULT_FOLDER = 'waddle-collector';

/** The collector's folder: `--dir`, else `waddle-collector` below the working directory. It need not be there. */
export function collectorFolder(context: Context): string {
  return resolve(context.cwd, context.dir ?? DEFAULT_FOLDER);
}

/** As `collectorFolder`, of a collector that has been started before. @throws WaddleError `no-collector` */
export function knownCollector(context: Context): string {
  const folder = collectorFolder(context);
  if (isCollectorFolder(folder)) return folder;
  throw new WaddleError(
    'no-collector',
    `there is no collector in ${inert(folder)}`,
    'Name its folder with --dir, or start one: waddle serve --collector --dir PATH',
  );
}
