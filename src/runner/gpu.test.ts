import { describe, expect, it } from 'vitest';
import { parseGpuLine } from './gpu.ts';

describe('parseGpuLine', () => {
  it('reads a line of nvidia-smi, memory in MiB', () => {
    expect(parseGpuLine('0, 37, 1024, 41, 118.25')).toEqual({
      index: 0,
      utilization_percent: 37,
      memory_used_bytes: 1024 * 1024 * 1024,
      temperature_celsius: 41,
      power_watts: 118.25,
    });
  });

  it('leaves open what the driver does not tell', () => {
    expect(parseGpuLine('1, [N/A], [Not Supported], 41, [Unknown Error]')).toEqual({
      index: 1,
      utilization_percent: null,
      memory_used_bytes: null,
      temperature_celsius: 41,
      power_watts: null,
    });
  });

  it('passes over everything else', () => {
    expect(parseGpuLine('NVIDIA-SMI has failed because it could not communicate with the driver')).toBe(null);
    expect(parseGpuLine('')).toBe(null);
  });
});
