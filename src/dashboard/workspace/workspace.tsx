/** The first page: the runs on the left, their charts on the right. */
import { Empty } from '../parts/states.tsx';

export function Workspace() {
  return <Empty title="Runs" />;
}
