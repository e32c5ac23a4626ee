/** Charts: many series in one request, as schemas. The answer is binary: `series-body.ts`. */
import { Type } from 'typebox';
import { Maybe } from './common-schemas.ts';

export const SeriesColumn = Type.Enum(['x0', 'x1', 'min', 'max', 'first', 'last', 'mean', 'count', 'nan']);

const Axis = Type.Enum(['step', 'time', 'relative']);

/** `POST /api/series`. Name the series one by one, or every key of every run. */
export const SeriesRequest = Type.Object(
  {
    series: Type.Optional(
      Type.Array(
        Type.Object(
          { run: Type.String({ maxLength: 100 }), key: Type.String({ maxLength: 10_000 }) },
          { additionalProperties: false },
        ),
        { maxItems: 20_000 },
      ),
    ),
    runs: Type.Optional(Type.Array(Type.String({ maxLength: 100 }), { maxItems: 5000 })),
    keys: Type.Optional(Type.Array(Type.String({ maxLength: 10_000 }), { maxItems: 5000 })),
    points: Type.Integer({
      minimum: 1,
      maximum: 100_000,
      description:
        'Buckets wanted for the range: about the pixels. At least so many where the series has them.',
    }),
    axis: Type.Optional(
      Type.Enum(['step', 'time', 'relative'], {
        default: 'step',
        description: 'What x is: the step, epoch seconds, or seconds since the run’s start.',
      }),
    ),
    from: Type.Optional(
      Type.Number({ description: 'Range of x; one bucket beyond it is given on each side.' }),
    ),
    to: Type.Optional(Type.Number()),
    columns: Type.Optional(
      Type.Array(SeriesColumn, { description: 'Only these (default: all but nan where there is none).' }),
    ),
  },
  { additionalProperties: false },
);

/** One drawn line: a segment of one writer’s series. Steps never go back within it. */
export const SeriesBlock = Type.Object({
  run: Type.String(),
  key: Type.String(),
  writer: Type.String(),
  rank: Maybe(Type.Integer({ description: 'Of the process, where several log to one run.' })),
  segment: Type.Integer(),
  n: Type.Integer({ description: 'Values in each column.' }),
  arrival: Type.Boolean({
    description:
      'Its steps go back so often that x is the number of the sample, whatever axis was asked for.',
  }),
  raw: Type.Boolean({ description: 'Each is one sample; the columns are then x0 and first.' }),
  end: Type.Integer({
    description:
      'Samples of this writer’s series that were there: live points from `seq` = end on continue it.',
  }),
  columns: Type.Array(SeriesColumn),
  offset: Type.Integer({
    description: 'Of its first column, in bytes from the end of the header’s padding.',
  }),
});

export const SeriesHeader = Type.Object({
  cursor: Type.String({ description: 'Live data from here on continues it.' }),
  axis: Axis,
  series: Type.Array(SeriesBlock),
});
