import { MbertError } from '../errors.ts';
import type { CommandSpec } from './command.ts';
import { completionScript, SHELLS } from './completion-script.ts';

export const command: CommandSpec = {
  description: 'Prints a script that makes a shell complete commands, flags and what flags take.',
  flags: [],
  examples: [
    'bash > ~/.local/share/bash-completion/completions/mbert',
    'zsh > ~/.zfunc/_mbert',
    'fish > ~/.config/fish/completions/mbert.fish',
  ],
  async run({ io, args: [name = ''], commands }) {
    const shell = SHELLS.find((known) => known === name);
    if (shell === undefined) {
      throw new MbertError('USAGE', `completion: ${name}: is no shell that mbert knows`, {
        hint: `they are ${SHELLS.join(', ')}`,
      });
    }
    io.out(`${completionScript(shell, await commands())}\n`);
    return 0;
  },
};
