import { Command, CommanderError } from 'commander';
import { MbertError } from '../errors.ts';
import { VERSION } from '../version.ts';
import type { Action } from './action.ts';
import { addBench } from './bench.ts';
import { addConvert } from './convert.ts';
import { addDiff } from './diff.ts';
import { addInspect } from './inspect.ts';
import { type Io, processIo, showProgress } from './io.ts';
import { addPasses } from './passes.ts';
import { addQuantize } from './quantize.ts';
import { addVerify } from './verify.ts';

const WRONG_INPUT = 2;
/** EX_SOFTWARE of sysexits.h. */
const BUG = 70;

/** Runs one command line and returns its exit code: 0 done, 1 the answer is no, 2 wrong input or usage, 70 a bug. */
export async function main(argv: readonly string[], io: Io = processIo): Promise<number> {
  const progress = showProgress(io);
  let code = 0;
  const action: Action =
    (run) =>
    async (...args) => {
      code = await run(io, progress, ...args);
    };
  try {
    await program(io, action).parseAsync(argv, { from: 'user' });
    return code;
  } catch (cause) {
    progress.clear();
    if (cause instanceof CommanderError) return cause.exitCode === 0 ? 0 : WRONG_INPUT;
    if (cause instanceof MbertError && cause.code !== 'INVALID_GRAPH') {
      io.err(`${cause.message}\n${cause.hint === undefined ? '' : `hint: ${cause.hint}\n`}`);
      return WRONG_INPUT;
    }
    io.err(`This is a bug in mbert ${VERSION}:\n${cause instanceof Error ? cause.stack : String(cause)}\n`);
    return BUG;
  }
}

function program(io: Io, action: Action): Command {
  const command = new Command('mbert')
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
  addConvert(command, action);
  addDiff(command, action);
  addQuantize(command, action);
  addVerify(command, action);
  addInspect(command, action);
  addBench(command, action);
  addPasses(command, action);
  for (const child of command.commands) child.copyInheritedSettings(command);
  return command;
}
