/** Completion: what is proposed where, and that real shells put it into the line. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Layout } from '../src/journal/layout.ts';
import { newProject, temporaryFolder, waddle, writeRun } from './cli-fixture.ts';
import { ROOT } from './support/sandbox.ts';

const pty = await import('@lydell/node-pty').catch(() => undefined);

let layout: Layout;
beforeAll(async () => {
  layout = newProject();
  const artifacts = [{ name: 'weights.json', bytes: '{}' }];
  writeRun(layout, { id: 'aaaabbbbcccc', name: 'my first run', project: 'geese', artifacts });
  writeRun(layout, { id: 'ddddeeeeffff', name: "don't", project: 'swans', tags: { team: 'a' }, at: 60 });
  writeRun(layout, { id: 'gggghhhhiiii', name: 'gone', at: 90 });
  expect((await waddle(layout.project, ['rm', 'gone', '--yes'])).code).toBe(0);
  writeFileSync(join(layout.project, 'train.py'), '');
  mkdirSync(join(layout.project, 'jobs'));
  writeFileSync(join(layout.project, 'jobs', 'sweep.py'), '');
});

/** What zsh and fish are told for these words: the kind, then the candidates without what they are. */
async function proposed(...words: string[]): Promise<string[]> {
  const { out, code } = await waddle(layout.project, ['__complete', 'zsh', '--', 'waddle', ...words]);
  expect(code).toBe(0);
  return out
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/\t.*/, ''));
}

/** What bash is told for its line up to the cursor. */
async function proposedToBash(line: string): Promise<string[]> {
  const breaks = ' \t\n"\'@><=;|&(:';
  const { out } = await waddle(layout.project, ['__complete', 'bash', '--', line, breaks]);
  return out.trimEnd().split('\n').slice(1);
}

describe('what is proposed', () => {
  test('commands, options, choices', async () => {
    expect(await proposed('repr')).toEqual(['words', 'reproduce']);
    expect(await proposed('__')).toEqual(['words']);
    expect(await proposed('nonsense', '')).toEqual(['words']);
    expect(await proposed('help', 'compl')).toEqual(['words', 'completion']);
    expect(await proposed('ls', '--arch')).toEqual(['words', '--archived']);
    expect(await proposed('export', '--format', 'p')).toEqual(['words', 'parquet']);
    expect(await proposed('export', '--format=p')).toEqual(['words', '--format=parquet']);
    expect(await proposed('completion', '')).toEqual(['words', 'bash', 'zsh', 'fish']);
  });

  test('runs, projects, tags, artifacts: by name, by id, and not twice', async () => {
    expect(await proposed('show', '')).toEqual([
      'words',
      '@last',
      "don't",
      'my first run',
      'ddddeeeeffff',
      'aaaabbbbcccc',
    ]);
    expect(await proposed('compare', 'aaaabbbbcccc', 'aa')).toEqual(['words']);
    expect(await proposed('run', '--resume', 'my')).toEqual(['words', 'my first run']);
    expect(await proposed('ls', '--project', '')).toEqual(['words', 'geese', 'swans']);
    expect(await proposed('tag', '@last', '--remove', '')).toEqual(['words', 'team']);
    expect(await proposed('get', 'aaaa', '')).toEqual(['words', 'weights.json']);
    expect(await proposed('rm', '--undo', '')).toEqual(['words', 'gone', 'gggghhhhiiii']);
    expect(await proposed('ls', '--dir', '/', '--project', '')).toEqual(['words']);
  });

  test('remotes, and what commands of two words do', async () => {
    writeFileSync(
      join(layout.project, 'waddle.json'),
      '{"remote": {"name": "team", "url": "https://a.example"}}',
    );
    expect(await proposed('remote', 't')).toEqual(['words', 'test']);
    expect(await proposed('remote', 'rm', '')).toEqual(['words', 'team']);
    expect(await proposed('push', '--remote', 'te')).toEqual(['words', 'team']);
    expect(await proposed('token', 'cr')).toEqual(['words', 'create']);
    expect(await proposed('token', 'create', '--scope', 'w')).toEqual(['words', 'write']);
  });

  test('files, folders, modules, and the command line of a job', async () => {
    expect(await proposed('ls', '--dir', '')).toEqual(['folders']);
    expect(await proposed('export', '--out', '')).toEqual(['files']);
    expect(await proposed('run', '--entry', '')).toEqual(['parts', 'jobs.', 'train']);
    expect(await proposed('run', '--entry', 'jobs.s')).toEqual(['parts', 'jobs.sweep']);
    expect(await proposed('run', '--name', 'a', '--', 'py')).toEqual(['command']);
    expect(await proposed('run', '--entry', 'train', '--', '--lr')).toEqual(['files']);
  });

  test("in bash's way: quoted, and without what stands before its own word breaks", async () => {
    expect(await proposedToBash('waddle show my')).toEqual(['my\\ first\\ run']);
    expect(await proposedToBash('waddle show my\\ f')).toEqual(['my\\ first\\ run']);
    expect(await proposedToBash('waddle show "my f')).toEqual(['my first run']);
    expect(await proposedToBash("waddle show 'don")).toEqual(["don'\\''t"]);
    expect(await proposedToBash('waddle show @l')).toEqual(['@last']);
    expect(await proposedToBash('waddle ls --project=g')).toEqual(['geese']);
  });

  test('leaves no trace, whether the store is at rest, in use, missing or broken', async () => {
    const traces = (): string[] =>
      readdirSync(layout.root, { recursive: true })
        .map((file) => [file, statSync(join(layout.root, String(file))).mtimeMs].join(' '))
        .sort();
    const before = traces();
    await proposed('show', '');
    expect(traces()).toEqual(before);

    const empty = temporaryFolder();
    const said = await waddle(empty, ['__complete', 'fish', '--', 'waddle', 'show', '']);
    expect([said.out, said.err, readdirSync(empty)]).toEqual(['words\n', '', []]);
    mkdirSync(join(empty, '.waddle'));
    writeFileSync(join(empty, '.waddle', 'waddle.sqlite'), 'not a database');
    writeFileSync(join(empty, 'waddle.json'), '{');
    const broken = await waddle(empty, ['__complete', 'fish', '--', 'waddle', 'show', '']);
    expect([broken.out, broken.err]).toEqual(['words\n', '']);
  });

  test('a run whose journals nobody has read yet is there by its id', async () => {
    writeRun(layout, { id: 'jjjjkkkkllll', name: 'fresh', at: 120 });
    expect(await proposed('show', 'jjjj')).toEqual(['words', 'jjjjkkkkllll']);
  });

  test('the bundle answers from what the build wrote down', () => {
    expect(existsSync(join(ROOT, 'dist', 'commands.json'))).toBe(true);
    const args = ['__complete', 'zsh', '--', 'waddle', 'run', '--isol'];
    const out = execFileSync(join(ROOT, 'bin', 'waddle'), args, { cwd: layout.project, encoding: 'utf8' });
    expect(out.split('\t')[0]).toBe('words\n--isolate');
  });
});

/** `waddle` prints its arguments, each between < and >, but for what completion asks it. */
const SHELLS: Record<string, { args: string[]; rc: string; script: string }> = {
  bash: {
    args: ['--rcfile', 'rc', '-i'],
    rc: 'rc',
    script: `PS1='READY> '
      eval "$(waddle completion bash)"
      waddle() { if [ "$1" = __complete ]; then command waddle "$@"; else printf '<%s>' "$@"; echo; fi; }`,
  },
  zsh: {
    args: ['-d', '-i'],
    rc: '.zshrc',
    script: `PS1='READY> '; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D
      eval "$(waddle completion zsh)"
      waddle() { if [[ $1 == __complete ]]; then command waddle "$@"; else printf '<%s>' "$@"; echo; fi; }`,
  },
  fish: {
    args: ['-i'],
    rc: 'fish/config.fish',
    script: `function fish_prompt; echo -n 'READY> '; end; set fish_greeting
      function waddle; if test "$argv[1]" = __complete; command waddle $argv; else; printf '<%s>' $argv; echo; end; end
      waddle_script | source`,
  },
};

describe.each(Object.keys(SHELLS))('in %s', (shell) => {
  const there = spawnSync(shell, ['-c', 'true']).status === 0 && pty !== undefined;

  test.skipIf(!there)('names, options and quoted names are completed', async () => {
    const { args, rc, script } = SHELLS[shell] as (typeof SHELLS)[string];
    const home = temporaryFolder();
    mkdirSync(join(home, 'bin'));
    mkdirSync(join(home, 'fish'));
    symlinkSync(join(ROOT, 'bin', 'waddle'), join(home, 'bin', 'waddle'));
    writeFileSync(join(home, rc), script.replace('waddle_script', 'command waddle completion fish'));
    const rcArgs = args.map((word) => (word === 'rc' ? join(home, rc) : word));
    const terminal = (pty as NonNullable<typeof pty>).spawn(shell, rcArgs, {
      cols: 120,
      rows: 30,
      cwd: layout.project,
      env: {
        PATH: `${join(home, 'bin')}:${process.env.PATH}`,
        HOME: home,
        ZDOTDIR: home,
        XDG_CONFIG_HOME: home,
        TERM: 'dumb',
      },
    });
    let text = '';
    const looking = new Set<() => void>();
    terminal.onData((data) => {
      text += data;
      for (const look of looking) look();
    });
    const until = (pattern: RegExp): Promise<string> =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = pattern.exec(text);
          if (found === null) return;
          looking.delete(look);
          text = text.slice(found.index + found[0].length);
          resolve(found[1] ?? '');
        };
        looking.add(look);
        look();
      });
    const completed = async (line: string): Promise<string> => {
      await until(/READY> /);
      terminal.write(`${line}\t\r`);
      return until(/(<[^\r\n]*>)\r*\n/);
    };
    try {
      expect(await completed('waddle comple')).toBe('<completion>');
      expect(await completed('waddle show my')).toBe('<show><my first run>');
      expect(await completed('waddle show "my f')).toBe('<show><my first run>');
      expect(await completed('waddle show don')).toBe("<show><don't>");
      expect(await completed('waddle show @l')).toBe('<show><@last>');
      expect(await completed('waddle ls --project=g')).toBe('<ls><--project=geese>');
      expect(await completed('waddle run --entry jobs.s')).toBe('<run><--entry><jobs.sweep>');
      expect(await completed('waddle run -- cat tra')).toBe('<run><--><cat><train.py>');
    } finally {
      terminal.kill('SIGKILL');
    }
  });
});
