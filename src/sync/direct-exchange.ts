/** Requests to addresses that a collector has told: no token goes with them, nothing is followed, and what comes is bounded. */
import { setTimeout as wait } from 'node:timers/promises';
import type { RetryRules } from './http-exchange.ts';

/** A part takes this long at most, in milliseconds: 8 MiB in it are 28 kB/s. */
const LONGEST_MS = 300_000;

/** The store refuses, or cannot be reached: then it goes through the collector. */
export class DirectFailure extends Error {}

export interface DirectTraffic {
  requests: number;
  sent: number;
  received: number;
}

export interface DirectAsked {
  url: string;
  method: 'GET' | 'PUT';
  headers: Record<string, string>;
  body?: Uint8Array;
  /** Bytes that the answer may have. */
  maxBytes: number;
  /** Statuses that are answers. */
  accept: readonly number[];
  retry: RetryRules;
  signal?: AbortSignal | undefined;
}

/** @throws DirectFailure */
export async function askDirectly(
  asked: DirectAsked,
  traffic: DirectTraffic,
): Promise<{ status: number; headers: Headers; body: Uint8Array }> {
  const { attempts, baseMs, capMs } = asked.retry;
  for (let attempt = 1; ; attempt += 1) {
    const { answer, failure, again } = await once(asked, traffic);
    if (answer !== undefined) return answer;
    asked.signal?.throwIfAborted();
    if (!again || attempt >= attempts) throw failure;
    const pause = Math.round(Math.random() * Math.min(capMs, baseMs * 2 ** attempt));
    await wait(pause, undefined, asked.signal === undefined ? {} : { signal: asked.signal });
  }
}

type Once =
  | { answer: { status: number; headers: Headers; body: Uint8Array }; failure?: never; again?: never }
  | { answer?: never; failure: DirectFailure; again: boolean };

async function once(asked: DirectAsked, traffic: DirectTraffic): Promise<Once> {
  const { url, method, headers, body, signal } = asked;
  const late = AbortSignal.timeout(LONGEST_MS);
  // It is told by fetch itself, as long as the body is.
  const { 'content-length': _, ...told } = headers;
  traffic.requests += 1;
  try {
    const response = await fetch(url, {
      method,
      headers: told,
      redirect: 'manual',
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
      ...(body === undefined ? {} : { body: body as NonNullable<RequestInit['body']> }),
    });
    const answer = await read(response, asked.maxBytes);
    traffic.received += answer.length;
    if (asked.accept.includes(response.status)) {
      traffic.sent += body?.length ?? 0;
      return { answer: { status: response.status, headers: response.headers, body: answer } };
    }
    const { host } = new URL(url);
    const again = response.status >= 500 || response.status === 408 || response.status === 429;
    return { failure: new DirectFailure(`${host} answered ${response.status}`), again };
  } catch (error) {
    if (error instanceof DirectFailure) return { failure: error, again: false };
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const why = cause instanceof Error ? cause.message : String(cause);
    return { failure: new DirectFailure(`${hostOf(url)} cannot be reached: ${why}`), again: true };
  }
}

async function read(response: Response, maxBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of response.body ?? []) {
    length += piece.length;
    if (length > maxBytes) throw new DirectFailure('more was answered than was asked for');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the address';
}
