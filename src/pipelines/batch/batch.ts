import { MbertError } from '../../errors.ts';
import { type RunOptions, startRun } from '../../options/run.ts';
import { VERSION } from '../../version.ts';
import { Identities } from './identity.ts';
import { type Job, jobsOfShard, readJobs, type Shard } from './jobs.ts';
import { isFinished, type JobResult, readResult, resultPath, writeResult } from './results.ts';
import { runJob, wordsOf } from './run-job.ts';

export interface BatchOptions extends RunOptions {
  /** Job file: a JSON object a line. */
  readonly file: string;
  /** Folder of the results, one JSON file a job (default: beside the job file, its name with `.results`). */
  readonly results?: string | undefined;
  /** Number of jobs at the same time (default: 1). */
  readonly jobs?: number | undefined;
  /** Part of the jobs that this call runs (default: all). */
  readonly shard?: Shard | undefined;
  /** Goes on with a folder that has results: jobs whose files and flags are the same are not run again. */
  readonly resume?: boolean | undefined;
  /** Runs nothing and tells what the folder has. */
  readonly summary?: boolean | undefined;
  /** Program and first arguments that run mbert. */
  readonly program: readonly [string, ...string[]];
  /** Flags behind which a job names what it writes. */
  readonly outputFlags: ReadonlySet<string>;
  /** Finds a mistake in the words of a command line without running it, and returns it in words; undefined for none. */
  readonly check: (words: readonly string[]) => string | undefined;
  /** Hears of each job that has ended, or that was finished before. */
  readonly ended?: ((row: BatchRow) => void) | undefined;
}

/** What is known of a job. */
export interface BatchRow {
  readonly job: Job;
  /** Undefined for a job that has not run. */
  readonly result: JobResult | undefined;
  /** True where an earlier call had finished it. */
  readonly isOld: boolean;
}

/** Result of a batch, or of one shard of it. */
export interface BatchResult {
  /** Folder of the results. */
  readonly folder: string;
  readonly rows: readonly BatchRow[];
}

/**
 * Runs the jobs of a file, each as a process of its own, and keeps one JSON file a job. Throws MALFORMED for a job file
 * that makes no sense, USAGE for command lines that no job could run, for a folder that has results unless they are to be gone on with, and the abort signal's
 * reason, with running jobs ended and without a result.
 */
export async function batch(options: BatchOptions): Promise<BatchResult> {
  const { file, program, outputFlags, signal, ended } = options;
  const { progress } = startRun(options);
  const folder = options.results ?? file.replace(/\.jsonl?$/, '').concat('.results');
  const all = readJobs(file, outputFlags);
  const jobs = jobsOfShard(all, options.shard ?? { index: 1, count: 1 });
  const before = jobs.map((job) => readResult(folder, job));
  if (options.summary) {
    return { folder, rows: jobs.map((job, i) => ({ job, result: before[i], isOld: true })) };
  }
  refuseMistyped(file, all, options.check);
  if (!options.resume) refuseResults(folder, before);
  const identities = new Identities(VERSION, outputFlags);
  const rows = jobs.map((job): BatchRow => ({ job, result: undefined, isOld: false }));
  let next = 0;
  let done = 0;
  const work = async () => {
    for (let i = next++; i < jobs.length; i = next++) {
      const job = jobs[i] as Job;
      progress(`job ${job.name}`, done, jobs.length);
      const identity = identities.of(job);
      const isOld = isFinished(before[i], identity);
      if (!isOld) {
        const outcome = await runJob(job, { program, outputFlags, signal });
        await writeResult(folder, { ...job, identity, mbert: VERSION, ...outcome });
      }
      const row = { job, result: readResult(folder, job), isOld };
      rows[i] = row;
      done++;
      ended?.(row);
    }
  };
  // All workers end before an error is thrown: a job that still runs would write behind the caller's back.
  const workers = await Promise.allSettled(Array.from({ length: options.jobs ?? 1 }, work));
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
  return { folder, rows };
}

/** Most jobs that a refusal names: a flag that is wrong in one line is often wrong in all. */
const MAX_PROBLEMS = 10;

/** Refuses command lines that are wrong, before the first one runs: the last one's turn may come hours later. */
function refuseMistyped(file: string, jobs: readonly Job[], check: BatchOptions['check']): void {
  const problems = jobs.flatMap((job) => {
    const problem = check(wordsOf(job));
    return problem === undefined ? [] : [`${file}: ${job.name}: ${problem}`];
  });
  const [first, ...more] = problems.slice(0, MAX_PROBLEMS);
  if (first === undefined) return;
  const rest = problems.length - MAX_PROBLEMS;
  throw new MbertError('USAGE', first, {
    more: rest > 0 ? [...more, `${file}: ${rest} more jobs are wrong`] : more,
    hint: 'no job has run; mbert COMMAND --help shows the flags',
  });
}

function refuseResults(folder: string, before: readonly (JobResult | undefined)[]): void {
  const [first] = before.filter((result) => result !== undefined);
  if (first === undefined) return;
  throw new MbertError('USAGE', `${resultPath(folder, first)}: is a result of an earlier batch`, {
    hint: '--resume goes on with what is not finished; --results names another folder',
  });
}
