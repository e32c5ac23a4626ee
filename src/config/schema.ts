/**
 * `waddle.json`, as a schema with an inferred type. The JSON Schema for editors (`schema/waddle.schema.json`) is made
 * from it. Every field is optional: what is missing has its default where it is used.
 */
import { type Static, Type } from 'typebox';

const closed = { additionalProperties: false } as const;
const text = (description: string) => Type.Optional(Type.String({ description }));
const flag = (description: string) => Type.Optional(Type.Boolean({ description }));
const port = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535, description }));
const texts = (description: string) => Type.Optional(Type.Array(Type.String(), { description }));

export const WaddleJson = Type.Object(
  {
    $schema: text('Where editors find the schema of this file.'),
    db: text('The SQLite file, relative to this file (default ".waddle/waddle.sqlite").'),
    remote: Type.Optional(
      Type.Object(
        {
          name: text('A name for the collector.'),
          url: text('Address of the collector.'),
          token: text('Access token, best as "${NAME}": read from the environment.'),
          live: flag('Push every run while it goes, as `waddle run --push` (default false).'),
        },
        { ...closed, description: 'The collector that push and pull talk to.' },
      ),
    ),
    run: Type.Optional(
      Type.Object(
        {
          project: text('The label that groups runs.'),
          entry: text('"module", "module:callable" or a TypeScript/JavaScript file.'),
          repo: text('Name of a linked repository (waddle repo-link).'),
          auto_commit: flag('Pin the workspace as a commit (default true).'),
          isolate: flag('Run from a copy of the snapshot (default false).'),
          link: texts(
            'Ignored files and folders that a copy of the code links to, relative to this file (default .venv, venv, node_modules).',
          ),
          outputs: texts(
            'Files and folders that are logged as artifacts when an isolated job has written them; * and ** stand for any.',
          ),
          name: text('Name of new runs.'),
          notes: text('Notes of new runs.'),
          tags: Type.Optional(
            Type.Record(Type.String(), Type.String(), { description: 'Tags of new runs.' }),
          ),
          group: text('Group of new runs.'),
          python: text('The Python interpreter.'),
        },
        { ...closed, description: 'Defaults of `waddle run`.' },
      ),
    ),
    serve: Type.Optional(
      Type.Object(
        {
          host: text('Address to listen on (default 127.0.0.1).'),
          port: port('HTTP port (default 8080).'),
          ws: port('A WebSocket port of its own.'),
          allowed_hosts: texts('Further names that the Host header may carry.'),
          max_connections: Type.Optional(Type.Integer({ minimum: 1, description: 'Default 1,000.' })),
        },
        { ...closed, description: 'The dashboard.' },
      ),
    ),
    snapshot: Type.Optional(
      Type.Object(
        {
          max_file_mb: Type.Optional(
            Type.Number({ minimum: 0, description: 'Untracked files over this are left out (default 10).' }),
          ),
          exclude: texts('Untracked files to leave out, in gitignore’s syntax.'),
          fingerprint: texts(
            'Data to list (path, size, time) in every run: paths or globs in the project folder.',
          ),
        },
        { ...closed, description: 'What goes into a snapshot of the code.' },
      ),
    ),
    environment: Type.Optional(
      Type.Object(
        {
          variables: texts(
            'Further environment variables to record, such as "MY_*"; "!NCCL_*" leaves some out. Never secrets.',
          ),
        },
        { ...closed, description: 'What is recorded of the environment.' },
      ),
    ),
    system_metrics: Type.Optional(
      Type.Object(
        {
          every_s: Type.Optional(
            Type.Number({
              minimum: 0,
              description: 'Seconds between samples (default 10; 0 turns them off).',
            }),
          ),
        },
        { ...closed, description: 'CPU, memory, disk, network and GPU beside the job.' },
      ),
    ),
  },
  { ...closed, $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'waddle.json' },
);

export type WaddleJson = Static<typeof WaddleJson>;
