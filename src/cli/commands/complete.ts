import type { Command } from 'commander';
import { type Candidate, propose } from '../completion/candidates.ts';
import { allShapes } from '../completion/shapes.ts';
import { quoteForBash, readLine } from '../completion/words.ts';
import type { Context } from '../context.ts';

/**
 * `waddle __complete SHELL -- …`, what the shells' scripts ask at each press of Tab. Zsh and fish hand over the words, bash its line
 * and where it breaks words. The answer is what kind of thing could stand there (`Proposal.kind`) on the first line, then a candidate
 * a line, with what it is after a tab. Nothing is written, whatever is wrong is passed over, and the answer comes at once.
 */
export function define(command: Command, context: Context): void {
  command
    .argument('<shell>')
    .argument('[words...]')
    .action(async (shell: string, words: string[]) => {
      // The build asks this.
      if (shell === 'shapes') return context.out(`${JSON.stringify(await allShapes(context))}\n`);
      const answer = shell === 'bash' ? answerBash(words, context) : answerWords(words, context);
      context.out(await answer.catch(() => ''));
    });
}

async function answerWords(words: readonly string[], context: Context): Promise<string> {
  const { kind, words: found } = await propose(words, context);
  const lines = found.map(({ value, about }) => (about === undefined ? value : `${value}\t${about}`));
  return `${[kind, ...lines].join('\n')}\n`;
}

async function answerBash([line = '', breaks = '']: readonly string[], context: Context): Promise<string> {
  const { words, quote, kept } = readLine(line, breaks);
  const { kind, words: found } = await propose(words, context);
  const lines = found.map(({ value }: Candidate) => quoteForBash(value.slice(kept), quote));
  return `${[kind, ...lines].join('\n')}\n`;
}
