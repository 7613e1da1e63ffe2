import { existsSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { listNames, MbertError, nearest } from '../errors.ts';
import { machineError } from '../io/file-error.ts';
import { type PassTrail, trailOf } from '../ir/pass-trail.ts';
import { printable } from '../printable.ts';
import { VERSION } from '../version.ts';
import { CONFIG_FILE, type CommandFlags, type CommandSpec, commonFlags } from './command.ts';
import { optionOf } from './command-option.ts';
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
    name: 'distill',
    args: '<student>',
    summary: 'train a student to answer as its teacher does',
    load: () => import('./distill.ts'),
  },
  {
    name: 'search',
    args: '<teacher>',
    summary: 'find students of a teacher within budgets of size or time',
    load: () => import('./search.ts'),
  },
  {
    name: 'map-layers',
    args: '<teacher> <student>',
    summary: "tell which of a teacher's layers each of a student's is nearest to",
    load: () => import('./map-layers.ts'),
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
    summary: 'say what a model is, or print its graph',
    load: () => import('./inspect.ts'),
  },
  {
    name: 'view',
    args: '<model> [other]',
    summary: "show a model's page in the browser, and compare it with what is dropped on it",
    load: () => import('./view.ts'),
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
  {
    name: 'completion',
    args: '<shell>',
    summary: 'print completions for bash, zsh or fish',
    load: () => import('./completion.ts'),
  },
];

/** Loads every command and lists its flags, for the docs. */
export function commandsWithFlags(): Promise<CommandFlags[]> {
  return Promise.all(commands.map(async ({ load, ...entry }) => ({ ...entry, flags: (await load()).command.flags })));
}

const WRONG_INPUT = 2;
/** Exit code for a bug in mbert: EX_SOFTWARE of sysexits.h. */
const BUG = 70;

/** Runs one command line and returns its exit code: 0 done, 1 the answer is no, 2 wrong input or usage, 70 a bug. */
export async function main(argv: readonly string[], io: Io = processIo): Promise<number> {
  let progress: ProgressLine | undefined;
  let code = 0;
  let words = argv;
  try {
    const overview = programOf(io);
    let fromConfig: readonly string[] = [];
    for (const { name, args, summary, load } of commands) {
      const child = overview.command(`${name} ${args}`).summary(summary).copyInheritedSettings(overview);
      // Of all commands only the one that is called is loaded, as most of a start is reading code.
      if (!isNamed(argv, name)) continue;
      const { command } = await load();
      if (argv[0] === name && !argv.includes('--no-config')) {
        fromConfig = await wordsOfConfig(name, command);
        words = [name, ...fromConfig, ...argv.slice(1)];
      }
      describe(child, name, command).action(async (...given: unknown[]) => {
        // Commander gives the arguments, then the options, then itself.
        const { quiet, verbose, config: _, ...options } = child.opts();
        progress = showProgress(io, loudnessOf(quiet === true, verbose === true));
        if (fromConfig.length > 0) progress.note(`${CONFIG_FILE}: ${fromConfig.join(' ')}`);
        const args = given.slice(0, -2).flat() as string[];
        code = await command.run({
          io,
          progress,
          args,
          options,
          isVerbose: verbose === true,
          commands: commandsWithFlags,
        });
        progress.clear();
      });
    }
    refuseUnknownHelp(argv);
    await overview.parseAsync(words, { from: 'user' });
    return code;
  } catch (thrown) {
    progress?.clear();
    const cause = machineError(thrown);
    if (cause instanceof CommanderError && cause.exitCode === 0) return 0;
    return isWrongInput(cause) ? failOnInput(io, cause, words) : failOnBug(io, cause, words);
  }
}

type WrongInput = CommanderError | MbertError;

function isWrongInput(cause: unknown): cause is WrongInput {
  return cause instanceof CommanderError || (cause instanceof MbertError && cause.code !== 'INVALID_GRAPH');
}

/** Tells what is wrong: commander has told its own errors already. */
async function failOnInput(io: Io, cause: WrongInput, argv: readonly string[]): Promise<number> {
  if (wantsJson(argv)) await printErrorJson(io, cause, argv);
  if (cause instanceof MbertError) printError(io, cause, argv.includes('--verbose'));
  return WRONG_INPUT;
}

async function failOnBug(io: Io, cause: unknown, argv: readonly string[]): Promise<number> {
  try {
    if (wantsJson(argv)) await printErrorJson(io, cause, argv);
  } finally {
    printBug(io, cause, argv);
  }
  return BUG;
}

/** Whether JSON is asked for: known before the command line is read, as that may be what fails. */
function wantsJson(argv: readonly string[]): boolean {
  return argv.includes('--json') || argv.includes('--format=json') || argv[argv.indexOf('--format') + 1] === 'json';
}

async function printErrorJson(io: Io, cause: unknown, argv: readonly string[]): Promise<void> {
  const { bugReport, errorReport, usageReport } = await import('./error-json.ts');
  const { jsonText } = await import('../reports/json.ts');
  const report =
    cause instanceof CommanderError
      ? usageReport(cause.message)
      : cause instanceof MbertError && isWrongInput(cause)
        ? errorReport(cause, argv)
        : bugReport(cause);
  io.out(`${jsonText({ error: report })}\n`);
}

/** Words of the project's config, which is read only where there is one. */
async function wordsOfConfig(name: string, { flags }: CommandSpec): Promise<string[]> {
  if (!existsSync(CONFIG_FILE)) return [];
  const { configWords } = await import('./project-config.ts');
  return configWords([...flags, ...commonFlags], { command: name, commands: commands.map((each) => each.name) });
}

/** Throws USAGE for help on what is no command: commander shows the overview, and no word of what was asked. */
function refuseUnknownHelp([first, second]: readonly string[]): void {
  const names = commands.map(({ name }) => name);
  if (first !== 'help' || second === undefined || second.startsWith('-') || [...names, 'help'].includes(second)) return;
  const near = nearest(second, names);
  throw new MbertError('USAGE', `help: ${second}: is no command`, {
    hint: near ? `did you mean mbert help ${near}?` : `commands are ${listNames(names)}`,
  });
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
    .description('Turns BERT-class checkpoints into small, fast, correct models for phones, browsers and servers.')
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
  $ mbert inspect ./mobilebert-sst2

Exit codes:
  0              done
  1              the answer is no: a difference, a limit that was passed
  2              wrong input or usage
  70             a bug in mbert
  74             the answer cannot be written, as on a full disk
  129, 130, 143  ended by a closed terminal, Ctrl-C, SIGTERM`,
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
    [
      `Exit codes: 0 done, ${exitOne ? `1 ${exitOne}, ` : ''}2 wrong input or usage, 70 a bug in mbert; mbert --help lists all`,
    ],
  ];
  return child.addHelpText('after', parts.map((lines) => `\n${lines.join('\n')}`).join('\n'));
}
