import { type ChildProcess, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { undoAtEnd } from '../../io/undo.ts';
import { type Job, outputsOf } from './jobs.ts';
import type { JobResult } from './results.ts';

/** Bytes of JSON that a job may print: the graph of a 24-layer model is 1 MB. */
const MAX_JSON_BYTES = 64 * 2 ** 20;

/** Bytes of warnings and errors that are kept, the last ones, as the reason of a failure is printed last. */
const MAX_MESSAGE_BYTES = 64 * 2 ** 10;

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
  signal?.throwIfAborted();
  const [file, ...first] = program;
  const wantsJson = job.args.some((arg) => arg === '--json' || arg.startsWith('--format'));
  const started = performance.now();
  // A job is what its line says, on any machine and in any folder.
  const added = [...(wantsJson ? [] : ['--json']), ...(job.args.includes('--no-config') ? [] : ['--no-config'])];
  const child = spawn(file, [...first, job.command, ...job.args, ...added], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stop = () => child.kill('SIGTERM');
  signal?.addEventListener('abort', stop, { once: true });
  // A signal that ends the batch ends its jobs: a scheduler starts them anew, and nobody would read what they print.
  const entry = undoAtEnd(stop);
  try {
    const printed = collect(child.stdout, MAX_JSON_BYTES, 'first');
    const messages = collect(child.stderr, MAX_MESSAGE_BYTES, 'last');
    const end = await ended(child);
    signal?.throwIfAborted();
    return {
      ...end,
      seconds: Math.round(performance.now() - started) / 1000,
      outputs: writtenBy(job, outputFlags),
      result: parsed(await printed),
      messages: await messages,
    };
  } finally {
    signal?.removeEventListener('abort', stop);
    entry.forget();
  }
}

function ended(child: ChildProcess): Promise<{ exitCode: number | null; signal: string | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal }));
  });
}

/** Reads a stream to its end; of more than `limit` bytes the first or last ones are kept. */
async function collect(stream: AsyncIterable<Buffer>, limit: number, kept: 'first' | 'last'): Promise<string> {
  let chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    if (kept === 'first' && size > limit) continue;
    chunks.push(chunk);
    size += chunk.byteLength;
    if (kept === 'last' && size > 2 * limit) {
      chunks = [Buffer.concat(chunks).subarray(-limit)];
      size = limit;
    }
  }
  const bytes = Buffer.concat(chunks);
  return (kept === 'first' ? bytes.subarray(0, limit) : bytes.subarray(-limit)).toString();
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
