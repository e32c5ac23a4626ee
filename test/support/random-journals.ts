/** Random journals of two runs and a project, in which ties and collisions are common; and schedules of how they arrive. */
import fc from 'fast-check';
import { encodeEvent } from '../../src/events/line.ts';
import type { Event } from '../../src/events/schema.ts';
import { opening, starting, T0 } from '../../src/ingest/ingest-fixture.ts';

export const RUN = 'abcdefghijkl';
export const OTHER = 'bbbbbbbbbbbb';
const SUPERVISORS = ['supervisor-aaaaaaaa', 'supervisor-bbbbbbbb'];
const JOBS = ['job-aaaaaaaa', 'job-bbbbbbbb', 'helper-aaaaaaaa'];
const EDITS = ['edits-aaaaaaaa', 'edits-bbbbbbbb'];
const PROJECT = ['project-aaaaaaaa', 'project-bbbbbbbb'];

/** The kinds in which several writers speak of one thing come first, and most often. */
const oneEvent = (...kinds: fc.Arbitrary<Event>[]) =>
  fc.oneof(...kinds.map((arbitrary, index) => ({ arbitrary, weight: index < 3 ? 5 : 1 })));

/** Few values each, so that ties and collisions are common. */
const t = fc.integer({ min: 0, max: 6 }).map((n) => T0 + n / 2);
const key = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('lr', 'opt.lr', 'opt') },
  { weight: 1, arbitrary: fc.constantFrom('a "b"\n🦆', '', '\ud800', '__proto__') },
);
const clock = fc.integer({ min: 1, max: 4 });
const text = fc.constantFrom('x', 'y', 'z');
const textOrNull = fc.constantFrom(null, 'x', 'y');
const value = fc.oneof(
  text,
  fc.constantFrom(1, 40.5, null, true, [1, 2], { lr: 1, deep: { lr: { x: 2 } } }, {}),
);
const number = fc.oneof(
  { weight: 5, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true, min: -100, max: 100 }) },
  { weight: 1, arbitrary: fc.constantFrom<'NaN' | 'Infinity' | '-Infinity'>('NaN', 'Infinity', '-Infinity') },
);

const metrics = fc
  .record({
    from: fc.integer({ min: 0, max: 30 }),
    count: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(300)),
    by: fc.constantFrom(1, 1, 1, 0.5, 0, -1),
    values: fc.array(number, { minLength: 1, maxLength: 5 }),
    keys: fc.uniqueArray(key, { minLength: 1, maxLength: 2 }),
    t,
  })
  .map(({ from, count, by, values, keys, t: begin }): Event[] =>
    Array.from({ length: count }, (_, index) => ({
      k: 'm' as const,
      t: begin + index / 1000,
      s: from + index * by,
      v: Object.fromEntries(keys.map((name) => [name, values[index % values.length] ?? 0])),
    })),
  );

const ofJob: fc.Arbitrary<Event[]> = fc.oneof(
  { weight: 1, arbitrary: metrics },
  {
    weight: 4,
    arbitrary: oneEvent(
      fc.record({ k: fc.constant('param' as const), t, key, value }),
      fc.record({ k: fc.constant('tag' as const), t, key, value: text }),
      fc.record({
        k: fc.constant('c' as const),
        t,
        o: fc.constantFrom<1 | 2>(1, 2),
        n: fc.nat(1),
        x: text,
        p: fc.boolean(),
        a: fc.constantFrom(...SUPERVISORS, null),
      }),
      fc.record({
        k: fc.constant('artifact' as const),
        t,
        name: key,
        type: fc.constant('file' as const),
        sha256: text.map((x) => (x === 'x' ? 'a' : 'b').repeat(64)),
        size: fc.nat(9),
        inline: fc.constantFrom(null, 'aGk='),
      }),
      fc.record({ k: fc.constant('warning' as const), t, code: text, message: text }),
      fc.record({
        k: fc.constant('update' as const),
        t,
        fields: fc.record({ name: textOrNull, project: textOrNull, notes: textOrNull }),
      }),
      fc.record({
        k: fc.constant('end' as const),
        t,
        attempt: fc.constantFrom(...SUPERVISORS),
        status: fc.constantFrom<'completed' | 'failed' | 'aborted'>('completed', 'failed', 'aborted'),
        exit_code: fc.constantFrom(null, 0, 1),
        error: fc.constantFrom(null, { type: 'E', message: 'x' }, { type: 'F', message: 'y' }),
        by: fc.constantFrom<'supervisor' | 'helper' | 'job'>('supervisor', 'helper', 'job'),
      }),
      fc.record({
        k: fc.constant('drift' as const),
        t,
        files: fc.array(fc.record({ path: text, change: text }), { maxLength: 2 }),
      }),
      fc.record({ k: fc.constant('env' as const), t, environment: fc.record({ python: text }) }),
      fc.record({ k: fc.constant('beat' as const), t }),
      fc.record({ k: fc.constant('close' as const), t, dropped: fc.constantFrom(null, { ENOSPC: 2 }) }),
    ).map((event) => [event]),
  },
);

const ofEdits: fc.Arbitrary<Event[]> = oneEvent(
  fc.record({
    k: fc.constant('edit' as const),
    t,
    clock,
    field: fc.constantFrom<'name' | 'notes'>('name', 'notes'),
    value: text,
  }),
  fc.record({
    k: fc.constant('edit' as const),
    t,
    clock,
    field: fc.constant('archived' as const),
    value: fc.boolean(),
  }),
  fc.record({
    k: fc.constant('edit' as const),
    t,
    clock,
    field: fc.constant('tag' as const),
    key: fc.oneof(key, fc.constant('waddle_code_changed')),
    value: textOrNull,
  }),
).map((event) => [event]);

const ofProject: fc.Arbitrary<Event[]> = oneEvent(
  fc.record({
    k: fc.constantFrom<'remove' | 'restore'>('remove', 'restore'),
    t,
    run: fc.constantFrom(RUN, OTHER),
    clock,
  }),
  fc.record({ k: fc.constant('link' as const), t, name: text, path: textOrNull, clock }),
).map((event) => [event]);

const broken = fc.constantFrom('{"k":"tag","t":1}', 'no json', '{"k":"later","t":1}', '', '\0\0', '{"k":"m"');

/** A journal's bytes. */
function journal(
  run: string | null,
  writer: string,
  first: Event[],
  events: fc.Arbitrary<Event[]>,
): fc.Arbitrary<{ run: string | null; writer: string; bytes: Buffer }> {
  const line = fc.oneof(
    { weight: 8, arbitrary: events.map((several) => several.map(encodeEvent).join('')) },
    { weight: 1, arbitrary: broken.map((piece) => `${piece}\n`) },
  );
  return fc.array(line, { maxLength: 14 }).map((lines) => ({
    run,
    writer,
    bytes: Buffer.from(first.map(encodeEvent).join('') + lines.join('')),
  }));
}

export const journals = fc.tuple(
  ...SUPERVISORS.map((writer, index) =>
    journal(
      RUN,
      writer,
      [
        opening(writer, { attempt: writer }),
        index === 0
          ? starting(RUN, writer, { tags: { lr: 'started' }, t: T0 })
          : { k: 'resume', t: T0 + 1, attempt: writer },
      ],
      ofJob,
    ),
  ),
  ...JOBS.map((writer) => journal(RUN, writer, [opening(writer, { attempt: 'supervisor-aaaaaaaa' })], ofJob)),
  journal(OTHER, 'job-aaaaaaaa', [opening('job-aaaaaaaa')], ofJob),
  ...EDITS.map((writer) => journal(RUN, writer, [opening(writer)], ofEdits)),
  ...PROJECT.map((writer) => journal(null, writer, [opening(writer)], ofProject)),
);

/** In which order, and how much at a time. */
export const schedule = fc.array(
  fc.record({
    which: fc.nat(99),
    part: fc.constantFrom(0.1, 0.3, 0.7, 1, 1),
    ingest: fc.boolean(),
    cached: fc.boolean(),
  }),
  { minLength: 4, maxLength: 25 },
);
