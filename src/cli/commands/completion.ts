import { Argument, type Command } from 'commander';
import { SCRIPTS, SHELLS, type Shell } from '../completion/scripts.ts';
import type { Context } from '../context.ts';
import { example } from '../help.ts';

export function define(command: Command, context: Context): void {
  command
    .description("Prints a script that lets a shell complete waddle's commands, options and runs.")
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .action((shell: Shell) => context.out(SCRIPTS[shell]));
  example(
    command,
    'eval "$(waddle completion bash)"    # in ~/.bashrc',
    'eval "$(waddle completion zsh)"     # in ~/.zshrc, after compinit',
    'waddle completion fish > ~/.config/fish/completions/waddle.fish',
  );
}
