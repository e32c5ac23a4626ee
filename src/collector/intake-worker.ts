/**
 * The thread of a collector that receives and takes in, so that what others ask does not wait for it. It has connections of
 * its own, and dies of what it cannot go on from: `IntakeThread` begins another one.
 */
import { getPriority, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { openObjects } from '../blobs/objects-place.ts';
import { openDatabase } from '../postgres/database.ts';
import { Intake } from '../postgres/intake.ts';
import type { Notices } from '../postgres/listener.ts';
import { type ReceivedPieces, TeamJournals } from '../postgres/team-journals.ts';
import { unpackPieces } from '../protocol/piece-frames.ts';
import {
  type FromIntake,
  type IntakeBeginning,
  type IntakeTask,
  type ToIntake,
  tellError,
} from './intake-messages.ts';

/** Linux alone gives a thread a priority of its own; elsewhere it would be the whole collector's. */
const NICE = 5;

const port = parentPort;
if (port === null) throw new Error('this is the file of a thread');
const say = (message: FromIntake, given: ArrayBuffer[] = []): void => port.postMessage(message, given);

if (process.platform === 'linux') setPriority(0, Math.max(getPriority(0), NICE));

const beginning = workerData as IntakeBeginning;
const database = await openDatabase(beginning.database, { connections: beginning.connections });
/** The thread that answers listens for both. */
const heardBy = new Set<(space: string | null) => void>();
const listener: Notices = {
  on(_channel, heard) {
    heardBy.add(heard);
    return () => heardBy.delete(heard);
  },
};
const objects = await openObjects(beginning.objects);
const spaces = new Map<string, { intake: Intake; journals: TeamJournals }>();

const failed = (error: unknown): void => say({ kind: 'failed', error: tellError(error) });

function spaceOf(name: string) {
  const known = spaces.get(name);
  if (known !== undefined) return known;
  const intake = new Intake({ database, listener, objects, space: name, failed });
  const received = (pieces: ReceivedPieces) => intake.hand(pieces);
  const space = { intake, journals: new TeamJournals({ database, objects, space: name, received }) };
  spaces.set(name, space);
  return space;
}

async function perform(task: IntakeTask): Promise<unknown> {
  switch (task.kind) {
    case 'unpack':
      return unpackPieces(task.pieces, task.most);
    case 'write':
      return spaceOf(task.space).journals.write(task.pieces);
    case 'now':
      return spaceOf(task.space).intake.now(task.run);
  }
}

/** What is being done, for whoever waits until nothing is. */
const open = new Set<Promise<void>>();

function begin(id: number, task: IntakeTask): void {
  const done = perform(task)
    .then(
      (answer) => say({ kind: 'done', id, answer }, ownBuffers(answer)),
      (error: unknown) => say({ kind: 'undone', id, error: tellError(error) }),
    )
    .finally(() => open.delete(done));
  open.add(done);
}

/** Of texts that were unpacked: they change hands, nobody here needs them any more. */
function ownBuffers(answer: unknown): ArrayBuffer[] {
  if (!Array.isArray(answer)) return [];
  const whole = answer.filter(
    (piece): piece is { bytes: Uint8Array<ArrayBuffer> } =>
      piece?.bytes instanceof Uint8Array &&
      piece.bytes.byteLength === piece.bytes.buffer.byteLength &&
      piece.bytes.byteLength > 0,
  );
  return [...new Set(whole.map(({ bytes }) => bytes.buffer))];
}

async function close(): Promise<void> {
  await Promise.all(open);
  for (const { intake } of spaces.values()) await intake.close();
  await database.close();
  // Nothing else keeps it up.
  parentPort?.close();
}

port.on('message', (message: ToIntake) => {
  if (message.kind === 'space') spaceOf(message.space);
  else if (message.kind === 'task') begin(message.id, message.task);
  else if (message.kind === 'work') for (const heard of heardBy) heard(message.space);
  else void close();
});
