/** The simulation gives the same figures each time, and those that were measured where it is asked for what was measured. */
import { describe, expect, it } from 'vitest';
import { collectorsFor, loadOf, MACHINES, readCosts } from './scale.ts';
import { costsOf, type TeamFigures } from './scale-costs.ts';
import { type Report, simulate } from './scale-simulation.ts';

const measured = readCosts();
const costs = costsOf(measured);
/** How far a share of a processor may be from the measured one: arrivals are by chance. */
const AGREES = 1.2;
/** The measured load so many times, on as many machines: chance evens out. */
const MACHINES_OF_EACH = 10;

const asked = ({ parts }: Report, name: string) =>
  parts.find((part) => part.name === name)?.asked ?? Number.NaN;

describe('the simulation', () => {
  it('is the same for a seed, and another for another', () => {
    const load = loadOf('live', 1, costs);
    const run = (seed: number) => simulate(costs, load, { ...MACHINES, collectors: 2 }, seed);
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
  });

  it('asks of each processor what the measured loads did', () => {
    for (const figures of [measured.large, measured.small] as TeamFigures[]) {
      const load = {
        samples: (MACHINES_OF_EACH * figures.samples) / figures.seconds,
        samplesOfPiece: figures.samples / figures.pieces,
        charts: 0.001,
        runs: 8 * MACHINES_OF_EACH,
        spaces: MACHINES_OF_EACH,
      };
      const parts = { collectors: MACHINES_OF_EACH, postgresCores: MACHINES_OF_EACH };
      const report = simulate(costs, load, { ...MACHINES, ...parts }, 1);
      const taking = costs.intake.sample > 0 ? asked(report, 'collectors, taking in') : 0;
      const collector = asked(report, 'collectors, answering') + taking;
      for (const [simulated, real] of [
        [collector, figures.collector_s / figures.seconds],
        [asked(report, 'PostgreSQL, cores'), figures.postgres_s / figures.seconds],
      ] as const) {
        expect(simulated / real).toBeGreaterThan(1 / AGREES);
        expect(simulated / real).toBeLessThan(AGREES);
      }
    }
  });

  it('a part that is asked for more than it has is waited for', () => {
    const load = loadOf('full', 4, costs);
    const enough = simulate(costs, load, { ...MACHINES, collectors: collectorsFor(load, costs) }, 1);
    const few = simulate(costs, load, { ...MACHINES, collectors: 1 }, 1);
    expect(asked(enough, 'collectors, answering')).toBeLessThan(0.8);
    expect(asked(few, 'collectors, answering')).toBeGreaterThan(1);
    expect(few.chartP99).toBeGreaterThan(enough.chartP99);
    expect(few.seenP99).toBeGreaterThan(enough.seenP99);
  });
});
