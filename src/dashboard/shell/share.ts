/** Pushing is done where the runs are, by the command line: the page gives the command. */
import { copyText } from '../parts/copy-button.tsx';
import { say } from './toasts.tsx';

/** `remote`: another than the first. */
export function copyPush(ids: readonly string[], remote?: string): void {
  const command = ['waddle push', ...ids, ...(remote === undefined ? [] : [`--remote ${remote}`])].join(' ');
  void copyText(command).then(() => say('Copied: run it in a terminal of this project'));
}
