import { Command, CommanderError, Option } from 'commander';
import { MbertError } from '../errors.ts';
import { type PassTrail, trailOf } from '../ir/pass-trail.ts';
import { printable } from '../printable.ts';
import { VERSION } from '../version.ts';
import { type CommandSpec, commonFlags, type Flag } from './command.ts';
import { type Io, painted, processIo } from './io.ts';
import { type Loudness, type ProgressLine, showProgress } from './progress.ts';

/** A command as the overview shows it; what it takes and does is loaded when it is called. */
interface CommandEntry {
  readonly name: string;
  /** Positional arguments, as commander reads them. */
  readonly args: string;
  readonly summary: string;
  load(): Promise<{ readonly command: CommandSpec }>;
}

const commands: readonly CommandEntry[] = [
  {
    name: 'convert',
    args: '<source>',
    summary: 'write a checkpoint or model as TFLite or ONNX',
    load: () => import('./convert.ts'),
  },
  {
    name: 'extract',
    args: '<teacher>',
    summary: 'cut a smaller BERT out of a larger one, as a Hugging Face folder',
    load: () => import('./extract.ts'),
  },
  {
    name: 'diff',
    args: '<a> <b>',
    summary: 'tell what differs between two models of any formats',
    load: () => import('./diff.ts'),
  },
  {
    name: 'quantize',
    args: '<source>',
    summary: 'write a model with integer or half weights, and measure what that costs',
    load: () => import('./quantize.ts'),
  },
  {
    name: 'verify',
    args: '<model>',
    summary: 'compare a model with a reference in the real runtimes, or evaluate it',
    load: () => import('./verify.ts'),
  },
  {
    name: 'inspect',
    args: '<model>',
    summary: 'print the graph of a model and what is in it',
    load: () => import('./inspect.ts'),
  },
  {
    name: 'bench',
    args: '<model...>',
    summary: 'time models beside each other in the real runtimes',
    load: () => import('./bench.ts'),
  },
  {
    name: 'compare',
    args: '<model...>',
    summary: 'put several models beside each other: size, time, and what each loses',
    load: () => import('./compare.ts'),
  },
  {
    name: 'batch',
    args: '<jobs>',
    summary: 'run many command lines, with results that are kept and parts for many machines',
    load: () => import('./batch.ts'),
  },
  {
    name: 'passes',
    args: '[model]',
    summary: 'list the passes, or explain what one left alone',
    load: () => import('./passes.ts'),
  },
];

/** A command as the docs list it. */
interface CommandFlags {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
}

/** Loads every command and lists its flags, for the docs. */
export function commandsWithFlags(): Promise<CommandFlags[]> {
  return Promise.all(
    commands.map(async ({ name, summary, load }) => ({ name, summary, flags: (await load()).command.flags })),
  );
}

const WRONG_INPUT = 2;
/** Exit code for a bug in mbert: EX_SOFTWARE of sysexits.h. */
const BUG = 70;

/** Runs one command line and returns its exit code: 0 done, 1 the answer is no, 2 wrong input or usage, 70 a bug. */
export async function main(argv: readonly string[], io: Io = processIo): Promise<number> {
  let progress: ProgressLine | undefined;
  let code = 0;
  try {
    const overview = programOf(io);
    for (const { name, args, summary, load } of commands) {
      const child = overview.command(`${name} ${args}`).summary(summary).copyInheritedSettings(overview);
      // Of all commands only the one that is called is loaded, as most of a start is reading code.
      if (!isNamed(argv, name)) continue;
      const { command } = await load();
      describe(child, name, command).action(async (...given: unknown[]) => {
        // Commander gives the arguments, then the options, then itself.
        const { quiet, verbose, ...options } = child.opts();
        progress = showProgress(io, loudnessOf(quiet === true, verbose === true));
        code = await command.run({ io, progress, args: given.slice(0, -2).flat() as string[], options });
        progress.clear();
      });
    }
    await overview.parseAsync(argv, { from: 'user' });
    return code;
  } catch (cause) {
    progress?.clear();
    if (cause instanceof CommanderError) return cause.exitCode === 0 ? 0 : WRONG_INPUT;
    if (cause instanceof MbertError && cause.code !== 'INVALID_GRAPH') {
      printError(io, cause, argv.includes('--verbose'));
      return WRONG_INPUT;
    }
    printBug(io, cause, argv);
    return BUG;
  }
}

function loudnessOf(isQuiet: boolean, isVerbose: boolean): Loudness {
  if (isQuiet && isVerbose) throw new MbertError('USAGE', '--quiet: contradicts --verbose');
  return isQuiet ? 'quiet' : isVerbose ? 'verbose' : 'normal';
}

function printError(io: Io, { problems, hint, cause }: MbertError, isVerbose: boolean): void {
  io.err(`${painted(io, 'red', problems.map(printable).join('\n'))}\n`);
  if (hint !== undefined) io.err(`${painted(io, 'cyan', 'hint:')} ${printable(hint)}\n`);
  if (isVerbose && cause instanceof Error) io.err(`cause: ${cause.stack}\n`);
}

function printBug(io: Io, cause: unknown, argv: readonly string[]): void {
  const stack = cause instanceof Error ? cause.stack : String(cause);
  io.err(`${painted(io, 'red', `This is a bug in mbert ${VERSION}:`)}\n${stack}\n`);
  const trail = trailOf(cause);
  if (trail) io.err(`${trailText(trail)}\n`);
  const { platform, arch, version } = process;
  io.err(`mbert ${argv.join(' ')}, Node ${version}, ${platform} ${arch}\n`);
  io.err(
    'Please report it on the issue tracker of mbert, with these lines and, where you may share them, the files.\n',
  );
}

/** Words where a bug in a pass is to be looked for: in the graph as it was before that pass. */
function trailText({ pass, behind }: PassTrail): string {
  const before = behind.length > 0 ? `, behind ${behind.join(', ')}` : '';
  return `in pass ${pass}${before}; --dump-passes DIR writes the graph before it`;
}

/** True where the command line names a command: `mbert diff …` or `mbert help diff`. */
function isNamed([first, second]: readonly string[], name: string): boolean {
  return first === name || (first === 'help' && second === name);
}

function programOf(io: Io): Command {
  return new Command('mbert')
    .description('Turns BERT-class checkpoints, MobileBERT first, into small, fast, correct models for phones.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .showHelpAfterError('(mbert <command> --help shows the options)')
    .addHelpText(
      'after',
      `
Examples:
  $ mbert convert ./mobilebert-sst2 -o model.tflite --verify
  $ mbert quantize ./mobilebert-sst2 -o model.onnx --scheme int8 --calibrate texts.txt
  $ mbert inspect ./mobilebert-sst2`,
    );
}

function describe(
  child: Command,
  name: string,
  { description, flags, examples, notes, exitOne }: CommandSpec,
): Command {
  child.description(description);
  for (const flag of [...flags, ...commonFlags]) child.addOption(optionOf(flag));
  const parts = [
    ...(examples.length > 0 ? [['Examples:', ...examples.map((line) => `  $ mbert ${name} ${line}`)]] : []),
    ...(notes ? [notes] : []),
    [`Exit codes: 0 done, ${exitOne ? `1 ${exitOne}, ` : ''}2 wrong input or usage, 70 a bug in mbert`],
  ];
  return child.addHelpText('after', parts.map((lines) => `\n${lines.join('\n')}`).join('\n'));
}

function optionOf({ flags, says, choices, parse, default: value, preset, isRequired }: Flag): Option {
  const option = new Option(flags, says);
  if (choices) option.choices(choices);
  if (parse) option.argParser(parse);
  if (value !== undefined) option.default(value);
  if (preset !== undefined) option.preset(preset);
  return isRequired ? option.makeOptionMandatory() : option;
}
