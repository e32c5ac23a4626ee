/** Figures of a collector in Prometheus' text format. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Upper bounds of the request times' buckets, in seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Histogram {
  counts: number[];
  sum: number;
  count: number;
}

export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #times = new Map<string, Histogram>();
  readonly #moved = { in: 0, out: 0 };
  #wire = 0;
  readonly #refused = new Map<string, number>();
  readonly #delay = monitorEventLoopDelay({ resolution: 20 });
  readonly #gauges: Record<string, { help: string; read: () => number }>;

  /** @param gauges read when they are asked for */
  constructor(gauges: Record<string, { help: string; read: () => number }>) {
    this.#gauges = gauges;
    this.#delay.enable();
  }

  /** @param kind a kind of request, of which there are few */
  request(kind: string, method: string, status: number, seconds: number): void {
    const labels = `kind="${kind}",method="${method}",status="${status}"`;
    this.#requests.set(labels, (this.#requests.get(labels) ?? 0) + 1);
    let histogram = this.#times.get(kind);
    if (histogram === undefined) {
      histogram = { counts: BUCKETS.map(() => 0), sum: 0, count: 0 };
      this.#times.set(kind, histogram);
    }
    histogram.sum += seconds;
    histogram.count += 1;
    for (const [index, bound] of BUCKETS.entries()) {
      if (seconds <= bound) histogram.counts[index] = (histogram.counts[index] ?? 0) + 1;
    }
  }

  moved(direction: 'in' | 'out', bytes: number): void {
    this.#moved[direction] += bytes;
  }

  /** Bytes of a request's body as they came over the wire, where it said so. */
  wire(bytes: number): void {
    if (Number.isSafeInteger(bytes) && bytes > 0) this.#wire += bytes;
  }

  refused(reason: string): void {
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
  }

  text(): string {
    const lines: string[] = [];
    const family = (
      name: string,
      type: string,
      help: string,
      rows: Iterable<[labels: string, value: number]>,
    ) => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      for (const [labels, value] of rows) lines.push(`${name}${labels === '' ? '' : `{${labels}}`} ${value}`);
    };
    family('waddle_http_requests_total', 'counter', 'Requests that were answered.', this.#requests);
    lines.push('# HELP waddle_http_request_seconds Time from a request to the end of its answer.');
    lines.push('# TYPE waddle_http_request_seconds histogram');
    for (const [kind, { counts, sum, count }] of this.#times) {
      for (const [index, bound] of BUCKETS.entries()) {
        lines.push(`waddle_http_request_seconds_bucket{kind="${kind}",le="${bound}"} ${counts[index]}`);
      }
      lines.push(`waddle_http_request_seconds_bucket{kind="${kind}",le="+Inf"} ${count}`);
      lines.push(`waddle_http_request_seconds_sum{kind="${kind}"} ${sum}`);
      lines.push(`waddle_http_request_seconds_count{kind="${kind}"} ${count}`);
    }
    family('waddle_sync_bytes_total', 'counter', 'Plain bytes of journals, blobs and packs that moved.', [
      ['direction="in"', this.#moved.in],
      ['direction="out"', this.#moved.out],
    ]);
    family('waddle_http_request_bytes_total', 'counter', 'Bytes of request bodies, as they came, packed.', [
      ['', this.#wire],
    ]);
    family(
      'waddle_refused_total',
      'counter',
      'Requests that were refused at the door.',
      [...this.#refused].map(([reason, value]): [string, number] => [`reason="${reason}"`, value]),
    );
    for (const [name, { help, read }] of Object.entries(this.#gauges)) {
      family(name, 'gauge', help, [['', read()]]);
    }
    const { rss, heapUsed } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    family('process_resident_memory_bytes', 'gauge', 'Memory that the process holds.', [['', rss]]);
    family('nodejs_heap_size_used_bytes', 'gauge', 'Of it, JavaScript values.', [['', heapUsed]]);
    family('process_cpu_seconds_total', 'counter', 'CPU time.', [['', (user + system) / 1e6]]);
    family('nodejs_eventloop_lag_seconds', 'gauge', 'Delay of the event loop, 99th percentile.', [
      ['', this.#delay.percentile(99) / 1e9 || 0],
    ]);
    this.#delay.reset();
    return `${lines.join('\n')}\n`;
  }

  close(): void {
    this.#delay.disable();
  }
}
