/** How params and results go together: parallel coordinates to narrow runs down, and a scatter of any two columns. */
import { useMemo } from 'preact/hooks';
import type { Comparison } from '../../protocol/api.ts';
import type { Pointer } from '../chart/context.ts';
import { Empty } from '../parts/states.tsx';
import { columnsOf } from './columns.ts';
import { Parallel } from './parallel.tsx';
import { Scatter } from './scatter.tsx';

export function Relations({ comparison, pointer }: { comparison: Comparison; pointer: Pointer }) {
  const columns = useMemo(() => columnsOf(comparison), [comparison]);
  if (comparison.runs.length < 2) {
    return (
      <Empty title="It takes two runs to relate" icon="compare">
        <p>Add another above.</p>
      </Empty>
    );
  }
  return (
    <div class="scroll relations">
      <Parallel runs={comparison.runs} columns={columns} pointer={pointer} />
      <Scatter runs={comparison.runs} columns={columns} pointer={pointer} />
    </div>
  );
}
