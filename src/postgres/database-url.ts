import { WaddleError } from '../errors/waddle-error.ts';

/** A database as `--database` names it, with what is ours taken out of its parameters. */
export interface DatabaseAddress {
  /** For PostgreSQL. */
  url: string;
  /** For connections that must be one server connection for as long as they live: past a pooler, where there is one. */
  session: string;
  /** Of one collector, all together. */
  connections: number;
}

const USUAL_CONNECTIONS = 10;
/** One listens, one takes in, and two answer: one of them may be at a long question. */
const FEWEST_CONNECTIONS = 4;
const MOST_CONNECTIONS = 1000;

/**
 * `connections=N`: how many a collector may have. `listen=HOST:PORT`: where PostgreSQL itself is, if the rest of the address is a
 * pooler's.
 * @throws WaddleError `database-invalid`
 */
export function readDatabaseUrl(text: string): DatabaseAddress {
  if (!URL.canParse(text) || !/^postgres(?:ql)?:$/.test(new URL(text).protocol)) {
    throw invalid(
      'the database is not named by a URL of PostgreSQL',
      'Write postgres://user:password@host:5432/name.',
    );
  }
  const url = new URL(text);
  const connections = Number(url.searchParams.get('connections') ?? USUAL_CONNECTIONS);
  if (!Number.isInteger(connections) || connections < FEWEST_CONNECTIONS || connections > MOST_CONNECTIONS) {
    throw invalid(
      `connections=${url.searchParams.get('connections')} is no number of connections for a collector`,
      `It needs ${FEWEST_CONNECTIONS} at least; ${USUAL_CONNECTIONS} is usual.`,
    );
  }
  const listen = url.searchParams.get('listen');
  // The rest stays as it is written.
  const given = listen !== null || url.searchParams.has('connections');
  url.searchParams.delete('connections');
  url.searchParams.delete('listen');
  const own = given ? url.href : text;
  const session = new URL(own);
  if (listen !== null) {
    const place = /^([\w.-]+|\[[0-9a-f:]+\])(?::(\d{1,5}))?$/i.exec(listen);
    if (place === null) throw invalid(`listen=${listen} is no host`, 'Write listen=host:5432.');
    session.hostname = place[1] ?? '';
    session.port = place[2] ?? '5432';
  }
  return { url: own, session: listen === null ? own : session.href, connections };
}

function invalid(message: string, hint: string): WaddleError {
  return new WaddleError('database-invalid', message, hint, { exitCode: 2 });
}

/** A collector's connections but for the one that listens: of the thread that answers, and of the one that takes in. */
export function shareConnections(connections: number): { answering: number; takingIn: number } {
  const takingIn = Math.max(1, Math.floor((connections - 1) * 0.4));
  return { answering: connections - 1 - takingIn, takingIn };
}
