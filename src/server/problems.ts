/** One shape for every refusal and failure, and the HTTP status of each. */
import { STATUS_CODES } from 'node:http';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import type { ApiError } from '../protocol/api.ts';

const STATUS: Record<string, number> = {
  'host-not-allowed': 403,
  'origin-not-allowed': 403,
  'token-missing': 401,
  'token-wrong': 401,
  'token-expired': 401,
  'token-revoked': 401,
  'scope-denied': 403,
  'project-denied': 403,
  'body-too-large': 413,
  'media-type-unknown': 415,
  'too-many-requests': 429,
  'server-busy': 503,
  'server-ending': 503,
  'run-not-found': 404,
  'artifact-not-found': 404,
  'file-not-found': 404,
  'route-not-found': 404,
  'token-not-found': 404,
  'space-not-found': 404,
  'blob-missing': 404,
  'direct-off': 404,
  'upload-missing': 404,
  'code-missing': 404,
  'git-failed': 404,
  'not-held': 409,
  'run-is-running': 409,
  'run-ambiguous': 409,
  'run-removed': 409,
  'store-busy': 503,
  'store-corrupt': 503,
  'store-newer': 503,
  'store-older': 503,
  'store-missing': 503,
  'store-unusable': 503,
  'store-full': 507,
  'not-written': 507,
  'disk-full': 507,
  'store-refuses': 507,
  'store-read-only': 409,
};

/** What Fastify itself refuses. */
const FASTIFY: Record<string, [code: string, hint: string]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['body-too-large', 'A request may carry 32 MB at most.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['media-type-unknown', 'Send JSON, with "Content-Type: application/json".'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['body-invalid', 'Send a JSON object.'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['body-invalid', 'Send a JSON object.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['body-invalid', 'The body is not as long as its Content-Length says.'],
  FST_ERR_BAD_URL: ['url-invalid', 'Check the percent-encoding of the address.'],
};

export interface Problem {
  status: number;
  body: ApiError;
  /** It is a bug of ours: nobody foresaw it. */
  unforeseen: boolean;
}

export function problemOf(error: unknown): Problem {
  if (error instanceof WaddleError) {
    const status =
      STATUS[error.code] ??
      (error.code.endsWith('-unreachable')
        ? 503
        : error.exitCode === 2 || error.code.endsWith('-invalid')
          ? 400
          : 500);
    return { status, body: bodyOf(error.code, error.message, error.hint), unforeseen: false };
  }
  if (isSystemError(error, 'ENOSPC', 'EDQUOT', 'EFBIG')) {
    const hint = 'What was acknowledged is kept. Once there is room, try again: it goes on where it stopped.';
    return {
      status: 507,
      body: bodyOf('disk-full', 'the disk of the server is full', hint),
      unforeseen: false,
    };
  }
  const { code, statusCode, message } = (error instanceof Error ? error : {}) as {
    code?: unknown;
    statusCode?: unknown;
    message?: string;
  };
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    const known = FASTIFY[String(code)];
    if (statusCode === 429) {
      return {
        status: 429,
        body: bodyOf('too-many-requests', 'too many requests of this kind', 'Wait a moment and try again.'),
        unforeseen: false,
      };
    }
    const name = known?.[0] ?? (STATUS_CODES[statusCode] ?? 'refused').toLowerCase().replaceAll(' ', '-');
    return {
      status: statusCode,
      body: bodyOf(name, message ?? 'the request was refused', known?.[1] ?? 'See /api/openapi.json.'),
      unforeseen: false,
    };
  }
  return {
    status: 500,
    body: bodyOf('internal', 'something went wrong inside Waddle', 'The terminal of the server says more.'),
    unforeseen: true,
  };
}

function bodyOf(code: string, message: string, hint: string): ApiError {
  return { error: { code, message, hint } };
}
