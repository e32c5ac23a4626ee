/** How to have it again: each command with what it does. */
import type { RunDetail } from '../../protocol/api.ts';
import { Command } from '../parts/copy-button.tsx';
import { quoteWord } from './overview-tab.tsx';
import type { TabProps } from './run-page.tsx';

interface Step {
  does: string;
  text: string;
}

/** The commands that fit a run. Pure. */
export function commandsOf({ run, snapshot }: RunDetail): { title: string; steps: Step[] }[] {
  const { id } = run;
  const tree = snapshot?.tree ?? null;
  const commit = snapshot?.commit ?? run.commit_sha;
  const again: Step[] = [
    {
      does: 'Run it again from the recorded code, and see whether its results are the same',
      text: `waddle reproduce ${id}`,
    },
  ];
  if (run.status !== 'completed')
    again.push({ does: 'Go on where it ended', text: `${runCommand(run)} --resume ${id}${args(run)}` });
  else if (run.entry !== null)
    again.push({ does: 'Run it from the code as it is now', text: `${runCommand(run)}${args(run)}` });
  const code: Step[] =
    snapshot === null
      ? []
      : [
          { does: 'The code as it ran, in a folder of its own', text: `waddle checkout ${id}` },
          {
            does: 'What differs in code, params and results from another run',
            text: `waddle diff ${id} @last`,
          },
        ];
  const git: Step[] = [];
  if (snapshot?.store === 'repository') {
    if (commit !== null) git.push({ does: 'The commit', text: `git show --stat ${commit}` });
    if (tree !== null && snapshot.base != null)
      git.push({ does: 'What was not committed when it ran', text: `git diff ${snapshot.base} ${tree}` });
    if (commit !== null)
      git.push({ does: 'A branch from what ran', text: `git switch -c ${branchName(run.name)} ${commit}` });
  }
  const read: Step[] = [
    { does: 'Everything about it, in the terminal', text: `waddle show ${id}` },
    { does: 'What it printed', text: `waddle logs ${id}` },
    { does: 'Its metrics as a table', text: `waddle export ${id} --format csv --out metrics.csv` },
  ];
  return [
    { title: 'Run it again', steps: again },
    { title: 'Its code', steps: code },
    { title: 'With git alone', steps: git },
    { title: 'Take it elsewhere', steps: read },
  ].filter((group) => group.steps.length > 0);
}

const runCommand = (run: RunDetail['run']): string =>
  `waddle run${run.repo === null ? '' : ` --repo ${quoteWord(run.repo)}`}${run.entry === null ? '' : ` --entry ${quoteWord(run.entry)}`}`;

function args(run: RunDetail['run']): string {
  const words = run.entry === null ? run.command : run.argv;
  return words === null || words.length === 0 ? '' : ` -- ${words.map(quoteWord).join(' ')}`;
}

/** What a branch may be called, and what a shell leaves alone. */
const branchName = (name: string): string =>
  `again/${
    name
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-|-$/g, '')
      .slice(0, 40) || 'run'
  }`;

export function ReproduceTab({ detail }: TabProps) {
  const { snapshot } = detail.value;
  const left = snapshot?.left_out.length ?? 0;
  return (
    <div class="scroll reproduce">
      {snapshot === null && (
        <p class="callout">
          <b>No code was recorded for this run.</b> It can be run again only from code that you still have.
        </p>
      )}
      {snapshot?.incomplete && (
        <p class="callout">
          <b>The snapshot lacks something.</b>{' '}
          {left > 0 ? `${left} ${left === 1 ? 'file was' : 'files were'} left out; ` : ''}see Code.
        </p>
      )}
      {commandsOf(detail.value).map((group) => (
        <section key={group.title} class="part">
          <header class="part-head">
            <h2>{group.title}</h2>
          </header>
          <ul class="commands">
            {group.steps.map((step) => (
              <li key={step.text}>
                <p>{step.does}</p>
                <Command text={step.text} />
              </li>
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}
