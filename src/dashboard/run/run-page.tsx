/** One run: what it is, how it went, which code, where. */
import { Empty } from '../parts/states.tsx';

export function RunPage({ id, tab }: { id: string; tab: string }) {
  return (
    <Empty title={`Run ${id}`}>
      <p>{tab}</p>
    </Empty>
  );
}
