/** The variables in which launchers tell rank, local rank and world size; the first launcher whose rank is set counts. */
const LAUNCHERS = [
  ['RANK', 'LOCAL_RANK', 'WORLD_SIZE'],
  ['SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NTASKS'],
  ['OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK', 'OMPI_COMM_WORLD_SIZE'],
  ['MV2_COMM_WORLD_RANK', 'MV2_COMM_WORLD_LOCAL_RANK', 'MV2_COMM_WORLD_SIZE'],
  ['PMI_RANK', 'MPI_LOCALRANKID', 'PMI_SIZE'],
] as const;

export interface Rank {
  rank: number | null;
  local_rank: number | null;
  world_size: number | null;
}

export function readRank(env: Record<string, string | undefined>): Rank {
  const number = (name: string) => {
    const text = env[name];
    return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : null;
  };
  for (const [rank, local, size] of LAUNCHERS) {
    if (number(rank) !== null) {
      return { rank: number(rank), local_rank: number(local), world_size: number(size) };
    }
  }
  return { rank: null, local_rank: null, world_size: null };
}
