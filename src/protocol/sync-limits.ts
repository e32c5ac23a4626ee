/** What one request of the sync protocol may hold (docs/remote.md). */
export const SYNC_PROTOCOL = 1;
/** Path of every sync route. */
export const SYNC_PREFIX = '/api/sync/v1';
/** Runs of one comparison; more than these go in several. */
export const MAX_COMPARED = 20_000;
/** Runs whose states are asked for at once. */
export const MAX_STATES = 500;
/** Blobs or trees of one question. */
export const MAX_NAMED = 20_000;
