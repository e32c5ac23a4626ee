import { WaddleError } from '../errors/waddle-error.ts';

/** A port as people type it. @throws WaddleError where it is no port */
export function readPort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new WaddleError('port-invalid', `"${text}" is no port`, 'Give a number from 0 to 65535.', {
    exitCode: 2,
  });
}
