/** Runs side by side. */
import { Empty } from '../parts/states.tsx';

export function ComparePage({ runs }: { runs: string[] }) {
  return <Empty title={`Compare ${runs.length} runs`} />;
}
