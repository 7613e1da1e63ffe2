import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MbertError } from '../../errors.ts';
import { decodeText } from '../../io/bytes.ts';
import { readWhole, writeWhole } from '../../io/files.ts';
import type { Job } from './jobs.ts';

/** Version of the result files' form. */
const RESULT_VERSION = 1;

/** Result of a job, as its file has it. */
export interface JobResult extends Job {
  readonly version: typeof RESULT_VERSION;
  /** Hash of all that the result depends on. */
  readonly identity: string;
  /** mbert's version. */
  readonly mbert: string;
  /** Exit code of the command: 0 done, 1 the answer is no, 2 wrong input, 70 a bug; null where a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly seconds: number;
  /** Files and folders that the job was told to write and that exist, files with their size. */
  readonly outputs: readonly { readonly path: string; readonly bytes: number | null }[];
  /** JSON that the command printed; null where it printed none. */
  readonly result: unknown;
  /** Warnings and errors that it printed, the last 64 kB of them. */
  readonly messages: string;
}

/** A finished job's file, in which only the batch writes. */
export function resultPath(folder: string, { name }: Pick<Job, 'name'>): string {
  return join(folder, `${name}.json`);
}

/** Writes the result under a temporary name first: a batch that is killed leaves whole files only. */
export async function writeResult(folder: string, result: Omit<JobResult, 'version'>): Promise<void> {
  const text = `${JSON.stringify({ version: RESULT_VERSION, ...result }, null, 2)}\n`;
  await writeWhole(resultPath(folder, result), new TextEncoder().encode(text));
}

/** Reads a job's result, undefined where there is none yet. Throws MALFORMED for a file that is no such result. */
export function readResult(folder: string, job: Pick<Job, 'name'>): JobResult | undefined {
  const path = resultPath(folder, job);
  if (!existsSync(path)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(decodeText(readWhole(path), path));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw notOurs(path);
  }
  if (!isResult(value) || value.name !== job.name) throw notOurs(path);
  return value;
}

function isResult(value: unknown): value is JobResult {
  const { version, name, identity, outputs } = (value ?? {}) as Partial<JobResult>;
  return (
    version === RESULT_VERSION && typeof name === 'string' && typeof identity === 'string' && Array.isArray(outputs)
  );
}

function notOurs(path: string): MbertError {
  return new MbertError('MALFORMED', `${path}: is no result of a batch`, {
    hint: 'remove it, or name another folder with --results',
  });
}

/** True for a result that need not be made again: it is of the same job, is an answer, and its files are still there. */
export function isFinished(result: JobResult | undefined, identity: string): boolean {
  if (result === undefined || result.identity !== identity) return false;
  if (result.exitCode !== 0 && result.exitCode !== 1) return false;
  return result.outputs.every(({ path, bytes }) => {
    const stats = statSync(path, { throwIfNoEntry: false });
    return stats !== undefined && (bytes === null ? stats.isDirectory() : stats.size === bytes);
  });
}
