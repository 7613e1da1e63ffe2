import { Command, CommanderError } from 'commander';
import { listNames, nearest } from '../errors.ts';
import { type CommandFlags, commonFlags } from './command.ts';
import { optionOf } from './command-option.ts';

/**
 * A check of command lines that runs nothing: it returns what a command line gets wrong in its command, its flags, their
 * values or the number of its arguments, worded as the command itself does; undefined where it could be run.
 */
export function wordsChecker(commands: readonly CommandFlags[]): (words: readonly string[]) => string | undefined {
  const known = new Map(commands.map((command) => [command.name, command]));
  return ([name = '', ...words]) => {
    const command = known.get(name);
    if (command === undefined) {
      const near = nearest(name, known.keys());
      return `${name}: is no command of a job: ${near ? `did you mean ${near}?` : `commands are ${listNames([...known.keys()])}`}`;
    }
    try {
      parserOf(command).parse(words, { from: 'user' });
      return undefined;
    } catch (cause) {
      if (!(cause instanceof CommanderError)) throw cause;
      return `${name}: ${cause.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ')}`;
    }
  };
}

function parserOf({ name, args, flags }: CommandFlags): Command {
  const parser = new Command(name)
    .arguments(args)
    .helpOption(false)
    .exitOverride()
    .configureOutput({ writeOut: () => {}, writeErr: () => {} })
    .action(() => {});
  for (const flag of [...flags, ...commonFlags]) parser.addOption(optionOf(flag));
  return parser;
}
