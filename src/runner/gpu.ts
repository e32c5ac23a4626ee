import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** One GPU at one moment; null where the driver does not tell. */
export interface GpuSample {
  index: number;
  utilization_percent: number | null;
  memory_used_bytes: number | null;
  temperature_celsius: number | null;
  power_watts: number | null;
}

const MIB = 1024 * 1024;
const SAMPLE_FIELDS = 'index,utilization.gpu,memory.used,temperature.gpu,power.draw';

type Env = Record<string, string | undefined>;

/** The NVIDIA GPUs of this machine; none where there is no `nvidia-smi`. */
export function listGpus(
  env: Env,
): Promise<{ name: string; memory_bytes: number | null; driver: string | null }[]> {
  return new Promise((resolve) => {
    const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader,nounits'];
    execFile('nvidia-smi', query, { env, timeout: 15_000 }, (error, stdout) => {
      if (error) return resolve([]);
      const rows = stdout.split('\n').filter((line) => line.trim() !== '');
      resolve(
        rows.map((row) => {
          const cells = row.split(', ');
          const driver = cells.pop()?.trim() ?? null;
          const memory = toNumber(cells.pop());
          return {
            name: cells.join(', ').trim(),
            memory_bytes: memory === null ? null : memory * MIB,
            driver,
          };
        }),
      );
    });
  });
}

/** The CUDA version that the driver offers, and that of the toolkit on this machine; null where there is neither. */
export async function findCuda(env: Env): Promise<{ driver: string | null; toolkit: string | null } | null> {
  const driver = await new Promise<string | null>((resolve) => {
    execFile('nvidia-smi', [], { env, timeout: 15_000 }, (error, stdout) =>
      resolve(error ? null : (/CUDA (?:\w+ )?Version\s*:\s*([\d.]+)/.exec(stdout)?.[1] ?? null)),
    );
  });
  const toolkit = toolkitVersion(env);
  return driver === null && toolkit === null ? null : { driver, toolkit };
}

/** By the file that the toolkit installs; NVIDIA's images have a variable besides. */
function toolkitVersion(env: Env): string | null {
  for (const home of [env.CUDA_HOME, env.CUDA_PATH, '/usr/local/cuda']) {
    if (!home) continue;
    try {
      const told: unknown = JSON.parse(readFileSync(join(home, 'version.json'), 'utf8'));
      const version = /"cuda":\{[^}]*?"version":"([^"]+)"/.exec(JSON.stringify(told))?.[1];
      if (version !== undefined) return version;
    } catch {
      // Another version of the toolkit, or none.
    }
  }
  return env.CUDA_VERSION || null;
}

/**
 * Watches the GPUs by one `nvidia-smi` that reports again and again: starting one for every sample costs seconds of CPU
 * on a machine with many GPUs. Does nothing where there is none.
 * @returns what ends it
 */
export function watchGpus(env: Env, everySeconds: number, onSample: (sample: GpuSample) => void): () => void {
  const query = [`--query-gpu=${SAMPLE_FIELDS}`, '--format=csv,noheader,nounits'];
  const loop = `--loop=${Math.max(1, Math.round(everySeconds))}`;
  let child: ChildProcess;
  try {
    child = spawn('nvidia-smi', [...query, loop], { env, stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return () => undefined;
  }
  child.on('error', () => undefined);
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const sample = parseGpuLine(line);
      if (sample !== null) onSample(sample);
    });
  }
  return () => void child.kill('SIGKILL');
}

export function parseGpuLine(line: string): GpuSample | null {
  const [index, utilization, memory, temperature, power] = line.split(',').map(toNumber);
  if (index === null || index === undefined) return null;
  return {
    index,
    utilization_percent: utilization ?? null,
    memory_used_bytes: memory === null || memory === undefined ? null : memory * MIB,
    temperature_celsius: temperature ?? null,
    power_watts: power ?? null,
  };
}

/** Null for `[N/A]`, `[Not Supported]` and the like. */
function toNumber(cell: string | undefined): number | null {
  const text = cell?.trim() ?? '';
  if (text === '') return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}
