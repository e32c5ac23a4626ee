import { describe, test } from 'vitest';
import type { Cluster } from './postgres.ts';
import { sharedPostgres, sharedS3 } from './servers.ts';

/** Tests over the PostgreSQL of this run; where there is none, one that is skipped and says why. */
export async function describePostgres(
  name: string,
  define: (postgres: Cluster) => void | Promise<void>,
): Promise<void> {
  const postgres = await sharedPostgres();
  if ('missing' in postgres) test.skip(`${name} (${postgres.missing})`);
  else describe(name, () => define(postgres));
}

/** The same, where S3 is asked for too. */
export async function describeTeam(
  name: string,
  define: (postgres: Cluster) => void | Promise<void>,
): Promise<void> {
  const s3 = await sharedS3();
  if ('missing' in s3) test.skip(`${name} (${s3.missing})`);
  else {
    await s3.stop();
    await describePostgres(name, define);
  }
}
