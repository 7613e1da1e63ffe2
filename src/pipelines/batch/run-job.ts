import { statSync } from 'node:fs';
import { runProcess } from '../../io/run-process.ts';
import { type Job, outputsOf } from './jobs.ts';
import type { JobResult } from './results.ts';

/** How a job is started. */
export interface Launch {
  /** Program and first arguments that are mbert itself. */
  readonly program: readonly [string, ...string[]];
  readonly outputFlags: ReadonlySet<string>;
  readonly signal: AbortSignal | undefined;
}

/** What a finished process says of its job. */
export type Outcome = Pick<JobResult, 'exitCode' | 'signal' | 'seconds' | 'outputs' | 'result' | 'messages'>;

/** Runs one job as a process of its own, so that none can take another one's memory. Throws the abort signal's reason. */
export async function runJob(job: Job, { program, outputFlags, signal }: Launch): Promise<Outcome> {
  const started = performance.now();
  // Where a signal ends the batch, a scheduler starts its jobs anew, and nobody would read what they print.
  const { printed, ...end } = await runProcess([...program, ...wordsOf(job)], signal);
  return {
    ...end,
    seconds: Math.round(performance.now() - started) / 1000,
    outputs: writtenBy(job, outputFlags),
    result: parsed(printed),
  };
}

/**
 * The words that a job runs: what its line says, on any machine and in any folder, and its answer as JSON. What is added
 * stands first: behind a line that ends in `-o` it would be the name of the file.
 */
export function wordsOf({ command, args }: Job): readonly string[] {
  const wantsJson = args.some((arg) => arg === '--json' || arg.startsWith('--format'));
  const added = [...(wantsJson ? [] : ['--json']), ...(args.includes('--no-config') ? [] : ['--no-config'])];
  return [command, ...added, ...args];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    // A command that failed has printed no JSON; the messages say why.
    if (cause instanceof SyntaxError) return null;
    throw cause;
  }
}

function writtenBy(job: Job, outputFlags: ReadonlySet<string>): JobResult['outputs'] {
  return outputsOf(job.args, outputFlags).flatMap((path) => {
    const stats = statSync(path, { throwIfNoEntry: false });
    return stats === undefined ? [] : [{ path, bytes: stats.isFile() ? stats.size : null }];
  });
}
