import type { IncomingMessage } from 'node:http';
import { WaddleError } from '../errors/waddle-error.ts';
import type { FoundToken, Scope, TokenRecord } from './registry.ts';

/** Who sent a request that has passed the front door. */
export interface Caller {
  token: FoundToken;
  requestId: string;
}

const callers = new WeakMap<IncomingMessage, Caller>();

export function noteCaller(request: IncomingMessage, caller: Caller): void {
  callers.set(request, caller);
}

/** @throws where the request did not come by the front door, which is a bug */
export function callerOf(request: IncomingMessage): Caller {
  const caller = callers.get(request);
  if (caller === undefined) throw new Error('a request that came by no door');
  return caller;
}

/** Whose token it is: what they change says so wherever it is pulled to. */
export function personOf(request: IncomingMessage): string {
  const { token } = callerOf(request);
  return token.name ?? `token ${token.id}`;
}

const RANK: Record<Scope, number> = { read: 0, write: 1, admin: 2 };

function mayDo(token: TokenRecord, scope: Scope): boolean {
  return RANK[token.scope] >= RANK[scope];
}

/** @throws WaddleError `scope-denied` */
export function needScope(token: TokenRecord, scope: Scope): void {
  if (mayDo(token, scope)) return;
  throw new WaddleError(
    'scope-denied',
    `the token ${token.id} may ${token.scope === 'read' ? 'only read' : 'read and write, and no more'}`,
    `Ask who runs the collector for one of the scope "${scope}".`,
  );
}
