import type { Space } from '../sync/space.ts';
import type { SpaceHome } from './backend.ts';
import { ProjectSpace } from './project-space.ts';
import { type Limit, QuotaSpace } from './quota-space.ts';

/** A space as one token may see and fill it. @param project the one that the token opens; null: all of the space */
export function guardSpace(
  home: Pick<SpaceHome, 'space' | 'projectsOf' | 'usage'>,
  project: string | null,
  limits: readonly Limit[],
): Space {
  const narrowed = project === null ? home.space : new ProjectSpace(home, project);
  const real = limits.filter(({ quota }) => quota.bytes !== null || quota.samples !== null);
  return real.length === 0 ? narrowed : new QuotaSpace(narrowed, real, (of) => home.usage(of));
}
