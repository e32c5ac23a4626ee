import { takeNotice } from '../store/migrate.ts';
import type { Store } from '../store/open.ts';
import type { Context } from './context.ts';
import { inert } from './inert.ts';

/**
 * Tells a person, once, that the database was an older Waddle's and has been brought to this one's version. Whichever process did
 * it may have had nobody to tell.
 */
export function sayMigration(context: Context, store: Store): void {
  if (store.readOnly || context.quiet) return;
  let done: ReturnType<typeof takeNotice>;
  try {
    done = takeNotice(store.db);
  } catch {
    return; // busy or read-only: the next command says it
  }
  if (done === undefined) return;
  const { from, to, backup, failed } = done;
  context.say(
    failed === null
      ? `waddle: the database was brought from version ${from} to ${to}; as it was, it is kept as ${inert(backup)} beside it\n`
      : `waddle: the database could not be brought from version ${from} to ${to} (${inert(failed)}): it is read from the journals anew, and kept as it was as ${inert(backup)} beside it\n`,
  );
}
