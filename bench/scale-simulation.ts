/**
 * A team's collectors, PostgreSQL and S3 as queues, in simulated time: pieces of journals and chart queries arrive by chance,
 * each takes what it costs of each part, and waits where a part is taken. The same seed gives the same figures.
 */
import { seeded } from './journals.ts';
import type { Costs } from './scale-costs.ts';

/** What is assumed, and not measured. */
export interface Machines {
  collectors: number;
  /** Cores of PostgreSQL's machine. */
  postgresCores: number;
  /** Bytes a second of the disk that holds the write-ahead log, and of a network card. */
  logDisk: number;
  network: number;
  /** Requests a second that one prefix of a bucket takes; prefixes are as many as runs are apart, 16 at most. */
  s3PerPrefix: number;
  s3Prefixes: number;
  /** Between a collector and PostgreSQL, milliseconds there and back. */
  roundTripMs: number;
  /** Connections that PostgreSQL allows, and that a collector holds. */
  connections: number;
  connectionsOfEach: number;
}

export interface Load {
  /** A second. */
  samples: number;
  samplesOfPiece: number;
  charts: number;
  runs: number;
  spaces: number;
}

export interface PartReport {
  name: string;
  /** Of its time that is asked for, 1 is all: more than that is a queue that grows. */
  asked: number;
  /** Mean length of its queue, those being served left out. */
  queue: number;
}

export interface Report {
  parts: PartReport[];
  /** Milliseconds of 99 in 100 chart queries. */
  chartP99: number;
  /** Seconds from a piece's arrival until its rows are seen, 99 in 100. */
  seenP99: number;
  /** Transactions a second that took something in. */
  transactions: number;
}

/** Runs that one collector takes in at a time, of each space. */
const HANDS = 2;
/** Plain bytes of one transaction, and of what is applied at a stretch. */
const TRANSACTION_BYTES = 2 * 1024 * 1024;
const STRETCH_BYTES = 128 * 1024;
/** Packed bytes past which a piece is an object; smaller ones are put together into objects of this size. */
const OBJECT_BYTES = 64 * 1024;
const MERGED_BYTES = 256 * 1024;
/** Round trips of PostgreSQL while a space's revision is held, and of a chart query. */
const HELD_TRIPS = 3;
const CHART_TRIPS = 3;
/** Of what is taken in and out, so many pieces at most are simulated, for so many seconds at most. */
const MAX_PIECES = 100_000;
const MAX_SECONDS = 100;

export function simulate(costs: Costs, load: Load, machines: Machines, seed: number): Report {
  const random = seeded(seed);
  const clock = new Clock();
  const station = (name: string, servers: number) => new Station(name, servers, clock);
  const fronts = each(machines.collectors, () => station('collectors, answering', 1));
  const twoThreads = costs.intake.sample > 0;
  const intakes = twoThreads ? each(machines.collectors, () => station('collectors, taking in', 1)) : fronts;
  const cards = each(machines.collectors, () => station('network of a collector', 1));
  const processors = station('PostgreSQL, cores', machines.postgresCores);
  const disk = station('PostgreSQL, log on disk', 1);
  const card = station('PostgreSQL, network', 1);
  const revisions = each(load.spaces, () => station('PostgreSQL, the revision of a space', 1));
  const bucket = station('S3, requests', machines.s3Prefixes);
  const shared = twoThreads ? [...fronts, ...intakes] : fronts;
  const stations = [...shared, ...cards, processors, disk, card, ...revisions, bucket];

  const piecesPerSecond = load.samples / load.samplesOfPiece;
  const seconds = Math.min(MAX_SECONDS, MAX_PIECES / piecesPerSecond);
  const packed = load.samplesOfPiece * costs.wire;
  const s3Seconds = 1 / machines.s3PerPrefix;
  const stretch = Math.max(1, Math.floor(STRETCH_BYTES / costs.plain));
  const most = Math.floor(TRANSACTION_BYTES / costs.plain);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

  const chartMs: number[] = [];
  const seen: number[] = [];
  let transactions = 0;

  interface Waiting {
    samples: number;
    pieces: number;
    arrivals: number[];
    busy: boolean;
    queued: boolean;
  }
  const runs = new Map<number, Waiting>();
  const queues: number[][] = each(load.spaces, () => []);
  const free: number[] = each(load.spaces, () => HANDS * machines.collectors);

  /** As many runs of a space as there are hands for. */
  const takeIn = (space: number): void => {
    const queue = queues[space] ?? [];
    while ((free[space] ?? 0) > 0) {
      const id = queue.shift();
      if (id === undefined) return;
      const run = runs.get(id) as Waiting;
      run.queued = false;
      run.busy = true;
      free[space] = (free[space] ?? 0) - 1;
      const part = Math.min(1, most / run.samples);
      const samples = part < 1 ? most : run.samples;
      const pieces = part < 1 ? Math.max(1, Math.round(run.pieces * part)) : run.pieces;
      const arrivals = run.arrivals.splice(0, pieces);
      run.samples -= samples;
      run.pieces -= pieces;
      const intake = pick(intakes);
      const cost = twoThreads ? costs.intake : { sample: costs.front.sample, piece: costs.front.piece / 2 };
      const database = costs.postgres.piece / 2 + samples * costs.postgres.sample;
      const logged = samples * costs.log.sample + (costs.log.piece / 2) * pieces;
      const held = costs.syncMs / 1e3 + (HELD_TRIPS * machines.roundTripMs) / 1e3;
      const commit = () =>
        disk.use(logged / machines.logDisk, () =>
          revisions[space]?.use(held, () => {
            transactions += 1;
            for (const at of arrivals) seen.push(clock.now - at);
            run.busy = false;
            free[space] = (free[space] ?? 0) + 1;
            wait(id, space, run);
            takeIn(space);
          }),
        );
      const write = () =>
        card.use((samples * costs.stored) / machines.network, () => processors.use(database / 1e6, commit));
      // Between two stretches a chart has its turn.
      const apply = (left: number): void => {
        const now = Math.min(left, stretch);
        intake.use((now * cost.sample) / 1e6, () => (left > now ? apply(left - now) : write()));
      };
      intake.use(cost.piece / 1e6, () => apply(samples));
    }
  };
  const wait = (id: number, space: number, run: Waiting): void => {
    if (run.busy || run.queued || run.samples === 0) return;
    run.queued = true;
    queues[space]?.push(id);
  };

  const piece = (): void => {
    const arrived = clock.now;
    const id = Math.floor(random() * load.runs);
    const space = id % load.spaces;
    const at = Math.floor(random() * machines.collectors);
    const known = () => {
      const run = runs.get(id) ?? { samples: 0, pieces: 0, arrivals: [], busy: false, queued: false };
      runs.set(id, run);
      run.samples += load.samplesOfPiece;
      run.pieces += 1;
      run.arrivals.push(arrived);
      wait(id, space, run);
      takeIn(space);
    };
    const logged = costs.log.piece / 2 + (packed > OBJECT_BYTES ? 0 : packed);
    const record = () =>
      processors.use(costs.postgres.piece / 2e6, () => disk.use(logged / machines.logDisk, known));
    const store = () => {
      // Small ones are put together later, by somebody who has time.
      const objects = packed > OBJECT_BYTES ? 1 : packed / MERGED_BYTES;
      bucket.use(objects * s3Seconds, () => undefined);
      record();
    };
    // Where one thread does all, half of a piece's own cost is the transaction's.
    const work = twoThreads
      ? costs.front.piece + load.samplesOfPiece * costs.front.sample
      : costs.front.piece / 2;
    cards[at]?.use(packed / machines.network, () => fronts[at]?.use(work / 1e6, store));
  };

  const chart = (): void => {
    const asked = clock.now;
    const front = pick(fronts);
    const trips = (CHART_TRIPS * machines.roundTripMs) / 1e3;
    front.use(costs.front.chart / 2e6, () =>
      processors.use(costs.postgres.chart / 1e6, () =>
        clock.after(trips, () =>
          front.use(costs.front.chart / 2e6, () => chartMs.push((clock.now - asked) * 1e3)),
        ),
      ),
    );
  };

  /** By chance, so many a second on average, until the end. */
  const arrive = (perSecond: number, what: () => void): void => {
    const next = () =>
      clock.after(-Math.log(1 - random()) / perSecond, () => {
        what();
        next();
      });
    next();
  };
  arrive(piecesPerSecond, piece);
  arrive(load.charts, chart);
  clock.run(seconds);
  const parts = new Map<string, Station[]>();
  for (const one of stations) {
    const group = parts.get(one.name);
    if (group === undefined) parts.set(one.name, [one]);
    else group.push(one);
  }
  return {
    parts: [
      ...[...parts].map(([name, group]) => ({
        name,
        asked: mean(group.map((one) => one.asked / (seconds * one.servers))),
        queue: mean(group.map((one) => one.queued(seconds))),
      })),
      {
        name: 'PostgreSQL, connections',
        asked: (machines.collectors * machines.connectionsOfEach) / machines.connections,
        queue: 0,
      },
    ],
    chartP99: quantile(chartMs, 0.99),
    seenP99: quantile(seen, 0.99),
    transactions: transactions / seconds,
  };
}

/** Simulated time, in seconds: what is to happen, by when. */
class Clock {
  now = 0;
  #count = 0;
  readonly #heap: { at: number; order: number; then: () => void }[] = [];

  after(seconds: number, then: () => void): void {
    const heap = this.#heap;
    const entry = { at: this.now + seconds, order: this.#count++, then };
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const other = heap[above];
      if (other === undefined || !earlier(entry, other)) break;
      heap[index] = other;
      index = above;
    }
    heap[index] = entry;
  }

  run(until: number): void {
    const heap = this.#heap;
    for (;;) {
      const first = heap[0];
      if (first === undefined || first.at > until) break;
      const last = heap.pop();
      if (last !== undefined && heap.length > 0) this.#sink(last);
      this.now = first.at;
      first.then();
    }
    this.now = until;
  }

  #sink(entry: { at: number; order: number; then: () => void }): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      const [left, right] = [heap[below], heap[below + 1]];
      if (left === undefined) break;
      if (right !== undefined && earlier(right, left)) below += 1;
      const least = heap[below];
      if (least === undefined || !earlier(least, entry)) break;
      heap[index] = least;
      index = below;
    }
    heap[index] = entry;
  }
}

function earlier(a: { at: number; order: number }, b: { at: number; order: number }): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Servers that take one after the other from a queue. */
class Station {
  /** Seconds of service that were asked for. */
  asked = 0;
  readonly name: string;
  readonly servers: number;
  readonly #clock: Clock;
  readonly #queue: { seconds: number; then: () => void }[] = [];
  #head = 0;
  #serving = 0;
  #lengthSeconds = 0;
  #since = 0;

  constructor(name: string, servers: number, clock: Clock) {
    this.name = name;
    this.servers = servers;
    this.#clock = clock;
  }

  use(seconds: number, then: () => void): void {
    this.asked += seconds;
    if (this.#serving < this.servers) {
      this.#serve(seconds, then);
      return;
    }
    this.#count();
    this.#queue.push({ seconds, then });
  }

  #serve(seconds: number, then: () => void): void {
    this.#serving += 1;
    this.#clock.after(seconds, () => {
      this.#serving -= 1;
      const next = this.#queue[this.#head];
      if (next !== undefined) {
        this.#count();
        this.#head += 1;
        if (this.#head > 1000 && this.#head * 2 > this.#queue.length) {
          this.#queue.splice(0, this.#head);
          this.#head = 0;
        }
        this.#serve(next.seconds, next.then);
      }
      then();
    });
  }

  #count(): void {
    this.#lengthSeconds += (this.#queue.length - this.#head) * (this.#clock.now - this.#since);
    this.#since = this.#clock.now;
  }

  queued(seconds: number): number {
    this.#count();
    return this.#lengthSeconds / seconds;
  }
}

function each<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function quantile(values: number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
