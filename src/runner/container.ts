import { existsSync, readFileSync } from 'node:fs';

/** The container that this process is in. Null where a part is not known from inside. */
export interface ContainerFacts {
  /** `docker`, `podman`, `apptainer`, `kubernetes`, … */
  runtime: string;
  image: string | null;
  id: string | null;
}

type Env = Record<string, string | undefined>;

/** Names under which schedulers and images tell which image it is. */
const IMAGE_VARIABLES = [
  'APPTAINER_CONTAINER',
  'SINGULARITY_CONTAINER',
  'SLURM_CONTAINER_IMAGE',
  'CONTAINER_IMAGE',
  'DOCKER_IMAGE',
  'IMAGE_NAME',
];

/** By the marks that each runtime leaves inside; null where there is none. `root` is `/`, but for tests. */
export function findContainer(env: Env, root = '/'): ContainerFacts | null {
  const named = IMAGE_VARIABLES.map((name) => env[name]).find((value) => value !== undefined && value !== '');
  const image = named ?? null;
  const id = containerId(read(`${root}proc/self/mountinfo`) ?? '');
  if (env.APPTAINER_CONTAINER || env.SINGULARITY_CONTAINER) return { runtime: 'apptainer', image, id: null };
  const podman = read(`${root}run/.containerenv`);
  if (podman !== null) {
    const told = (name: string) => new RegExp(`^${name}="?([^"\n]+)"?$`, 'm').exec(podman)?.[1] ?? null;
    return { runtime: 'podman', image: image ?? told('image'), id: told('id') ?? id };
  }
  if (env.KUBERNETES_SERVICE_HOST) return { runtime: 'kubernetes', image, id };
  if (existsSync(`${root}.dockerenv`)) return { runtime: 'docker', image, id };
  if (env.container) return { runtime: env.container, image, id };
  return id === null ? null : { runtime: 'unknown', image, id };
}

/** Docker and its like mount a container's own `hostname` and `resolv.conf` from a folder that bears its id. */
function containerId(mounts: string): string | null {
  return /\/(?:containers|sandboxes|overlay-containers)\/([0-9a-f]{64})\//.exec(mounts)?.[1] ?? null;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
