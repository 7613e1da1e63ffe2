import type { Io } from './io.ts';
import type { ProgressLine } from './progress.ts';

/** One option of a command: what the command line, its help and the docs know of it. */
export interface Flag {
  /** The flag as commander reads it: `--opset <n>`. */
  readonly flags: string;
  /** Its line in the help. */
  readonly says: string;
  readonly choices?: readonly string[];
  /** Turns the text into a value; throws commander's InvalidArgumentError. */
  readonly parse?: (text: string) => unknown;
  /** Value that is used without the flag, where the help is to show it. */
  readonly default?: string | number;
  /** Value of the flag where none is given behind it. */
  readonly preset?: string;
  readonly isRequired?: boolean;
  /** True where its value names a file or folder to write. */
  readonly isOutput?: boolean;
}

/** Definition of a command: what it takes and does. `O` has a field for each flag. */
export interface CommandSpec<O extends object = object> {
  readonly description: string;
  readonly flags: readonly Flag[];
  /** Command lines of a real use, without `mbert` and the command's name. */
  readonly examples: readonly string[];
  /** Meaning of exit code 1, where the command has it. */
  readonly exitOne?: string;
  /** Lines that follow the examples in the help. */
  readonly notes?: readonly string[];
  /** Does what the command line says and returns the exit code. */
  run(call: Call<O>): Promise<number>;
}

/** One call of a command. */
export interface Call<O extends object> {
  readonly io: Io;
  readonly progress: ProgressLine;
  readonly args: readonly string[];
  readonly options: O;
  readonly isVerbose: boolean;
  /** Loads every command and lists its flags. */
  commands(): Promise<readonly CommandFlags[]>;
}

/** A command as the docs, shells and batches list it. */
export interface CommandFlags {
  readonly name: string;
  /** Positional arguments, as commander reads them. */
  readonly args: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
}

/** A project's flags, in the folder in which mbert is called. */
export const CONFIG_FILE = 'mbert.config.json';

/** Flags that every command has. */
export const commonFlags: readonly Flag[] = [
  { flags: '-q, --quiet', says: 'no progress and no notes; warnings and errors stay' },
  { flags: '--no-config', says: 'leave the mbert.config.json of this folder alone' },
  { flags: '--verbose', says: 'a line for each step with the time that it took, and the causes of errors' },
];

/** Copies a flag, with another line in the help. */
export function saying(flag: Flag, says: string): Flag {
  return { ...flag, says };
}
