import type { BatchOptions, BatchResult } from '../pipelines/batch/batch.ts';
import { batch } from '../pipelines/batch/batch.ts';
import { printable, shown } from '../printable.ts';
import { batchText, jobText, outcomeOf } from '../reports/batch.ts';
import { jsonText } from '../reports/json.ts';
import { wordsChecker } from './check-words.ts';
import type { CommandSpec, Flag } from './command.ts';
import * as flags from './flags.ts';
import { positiveInteger, shard } from './parsers.ts';
import { PROGRAM } from './program.ts';

/** Flags behind which a command line names what it writes: `-o` and `--output` of `-o, --output <path>`. */
export const OUTPUT_FLAGS: ReadonlySet<string> = new Set(
  [...flags.writingFlags, ...flags.observeFlags, ...flags.quantizationFlags, ...flags.reportFlags()]
    .filter(({ isOutput }) => isOutput)
    .flatMap(({ flags }: Flag) => flags.match(/--?[\w-]+/g) ?? []),
);

export const command: CommandSpec<
  Pick<BatchOptions, 'jobs' | 'shard' | 'resume' | 'summary' | 'results'> & { readonly json?: true }
> = {
  description:
    'Runs the command lines of a file, one JSON object a line, each as a process of its own, and keeps one JSON result a job.',
  flags: [
    { flags: '--jobs <n>', says: 'jobs at the same time', parse: positiveInteger, default: 1 },
    { flags: '--shard <i/n>', says: 'run the i-th of n parts, from 1 on: one on each machine', parse: shard },
    { flags: '--resume', says: 'go on: jobs with the same flags and file contents are not run again' },
    { flags: '--results <dir>', says: 'folder of the results (default: JOBS.results)' },
    { flags: '--summary', says: 'run nothing, print the table of the results that there are' },
    flags.json,
  ],
  examples: ['jobs.jsonl --jobs 4', 'jobs.jsonl --resume', 'jobs.jsonl --shard 2/8 --resume', 'jobs.jsonl --summary'],
  notes: [
    'A job: { "name": "sst2-int8", "command": "quantize", "args": ["./sst2", "-o", "sst2.tflite", "--scheme", "dynamic"] }',
  ],
  exitOne: 'a job says no; 2 also where a job was refused or failed',
  async run({ io, progress, args: [file = ''], options, commands }) {
    // A job's answer is kept as JSON, which a page in a browser is not.
    const known = (await commands()).filter(({ flags: own }) =>
      own.some(({ flags: text }) => text === flags.json.flags),
    );
    const result = await batch({
      ...options,
      file,
      program: PROGRAM,
      outputFlags: OUTPUT_FLAGS,
      check: wordsChecker(known),
      progress: progress.step,
      ended(row) {
        progress.clear();
        io.err(`${printable(jobText(row))}\n`);
      },
    });
    progress.clear();
    io.out(`${options.json ? jsonText(jsonOf(result)) : batchText(shown(result))}\n`);
    return options.summary ? 0 : exitCodeOf(result);
  },
};

function jsonOf({ folder, rows }: BatchResult) {
  return {
    folder,
    jobs: rows.map((row) => ({
      name: row.job.name,
      outcome: outcomeOf(row),
      exitCode: row.result?.exitCode ?? null,
      seconds: row.result?.seconds ?? null,
      outputs: row.result?.outputs ?? [],
    })),
  };
}

/** The worst of all: 2 where one has failed in any way, 1 where one says no. */
function exitCodeOf({ rows }: BatchResult): number {
  const codes = rows.map(({ result }) => result?.exitCode);
  if (codes.some((code) => code !== 0 && code !== 1)) return 2;
  return codes.includes(1) ? 1 : 0;
}
