/** A tracker to measure: where it comes from, and what keeps it quiet and local. */
export interface Peer {
  name: string;
  /** The module in `adapters/`. */
  adapter: string;
  /** What pip installs, by name and range; null where nothing needs to be. */
  requirement: string | null;
  /** How it was asked to work, for the reader of the table. */
  note: string;
}

/** Waddle first, the floor second, then the peers. */
export const PEERS: readonly Peer[] = [
  { name: 'waddle', adapter: 'waddle_client', requirement: null, note: 'waddle.init() in a plain script' },
  {
    name: 'bare write',
    adapter: 'bare_write',
    requirement: null,
    note: 'os.write of the same line: the floor',
  },
  { name: 'trackio', adapter: 'trackio_client', requirement: 'trackio>=0.43,<1', note: 'local' },
  { name: 'wandb', adapter: 'wandb_client', requirement: 'wandb>=0.31,<1', note: 'offline' },
  { name: 'mlflow', adapter: 'mlflow_client', requirement: 'mlflow>=3.17,<4', note: 'SQLite file' },
  { name: 'aim', adapter: 'aim_client', requirement: 'aim>=3.29,<4', note: 'local repository' },
  {
    name: 'tensorboardx',
    adapter: 'tensorboardx_client',
    requirement: 'tensorboardX>=2.6,<3',
    note: 'event files',
  },
];
