import type { BatchResult, BatchRow } from '../pipelines/batch/batch.ts';
import type { JobResult } from '../pipelines/batch/results.ts';
import { plural, size, table } from './text.ts';

/** Word for how a job ended. */
export function outcomeOf({ result }: Pick<BatchRow, 'result'>): string {
  if (result === undefined) return 'not run';
  return result.exitCode === null ? `ended by ${result.signal}` : (OUTCOMES.get(result.exitCode) ?? 'failed');
}

const OUTCOMES: ReadonlyMap<number, string> = new Map([
  [0, 'done'],
  [1, 'no'],
  [2, 'refused'],
  [70, 'bug'],
]);

/** A line for a job that has ended. */
export function jobText(row: BatchRow): string {
  const { job, result, isOld } = row;
  const why = result === undefined || result.exitCode === 0 || isOld ? '' : `: ${reasonOf(result)}`;
  return `${job.name}  ${outcomeOf(row)}${isOld ? ' before' : ` in ${result?.seconds.toFixed(1)} s`}${why}`;
}

/** The first line that says why, of all that a job has printed. */
function reasonOf({ messages }: JobResult): string {
  const lines = messages.split('\n').filter((line) => line.trim() !== '');
  return lines.find((line) => !line.startsWith('warning: ')) ?? lines[0] ?? 'its result says why';
}

/** Table of all jobs, with what they have written and the sums at its end. */
export function batchText({ folder, rows }: BatchResult): string {
  const lines = rows.map((row) => [
    row.job.name,
    row.job.command,
    outcomeOf(row),
    row.result === undefined ? '' : `${row.result.seconds.toFixed(1)} s`,
    row.result?.outputs.map(({ path, bytes }) => (bytes === null ? path : `${path} (${size(bytes)})`)).join(', ') ?? '',
  ]);
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(outcomeOf(row), (counts.get(outcomeOf(row)) ?? 0) + 1);
  const sums = [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
  return `${table([['job', 'command', 'outcome', 'time', 'wrote'], ...lines])}\n\n${plural(rows.length, 'job')}: ${sums}; results in ${folder}`;
}
