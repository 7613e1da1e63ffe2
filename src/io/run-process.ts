import { type ChildProcess, spawn } from 'node:child_process';
import { undoAtEnd } from './undo.ts';

/** Bytes of what a process prints that are kept, the first ones: the graph of a 24-layer model is 1 MB of JSON. */
const MAX_PRINTED_BYTES = 64 * 2 ** 20;

/** Bytes of warnings and errors that are kept, the last ones, as the reason of a failure is printed last. */
const MAX_MESSAGE_BYTES = 64 * 2 ** 10;

/** How a process ended, and what it said. */
export interface EndedProcess {
  /** Null where a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** The beginning of the text on stdout, up to `MAX_PRINTED_BYTES`. */
  readonly printed: string;
  /** The end of the text on stderr, up to `MAX_MESSAGE_BYTES`. */
  readonly messages: string;
}

/**
 * Runs a program to its end. A signal that ends this process ends it as well. Throws the abort signal's reason once the
 * program has ended.
 */
export async function runProcess(
  [file, ...args]: readonly [string, ...string[]],
  signal: AbortSignal | undefined,
): Promise<EndedProcess> {
  signal?.throwIfAborted();
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const stop = () => child.kill('SIGTERM');
  signal?.addEventListener('abort', stop, { once: true });
  const entry = undoAtEnd(stop);
  try {
    const printed = collect(child.stdout, MAX_PRINTED_BYTES, 'first');
    const messages = collect(child.stderr, MAX_MESSAGE_BYTES, 'last');
    const end = await ended(child);
    signal?.throwIfAborted();
    return { ...end, printed: await printed, messages: await messages };
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
