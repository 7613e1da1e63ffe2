import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { MbertError } from '../../errors.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { PACKAGE } from '../../version.ts';
import { addLanes, type Part, type PartRuns, type RunParameter } from './part-runs.ts';
import {
  type GradientAnswer,
  type GradientRequest,
  type GradientWorkerData,
  received,
  sent,
} from './thread-messages.ts';

/** The built program of a thread. */
export const PROGRAM = fileURLToPath(new URL('dist/gradient-worker.js', PACKAGE));

/** Options of `threadedRuns`. */
interface ThreadedOptions {
  /** Path of the model. */
  readonly path: string;
  /** Name of the model in errors. */
  readonly name: string;
  readonly lanes: number;
  /** Threads of each lane's session. */
  readonly threads: number;
  /** Most values that a run computes. */
  readonly values: number;
}

/**
 * Runs the parts of a batch side by side, each lane in a thread with a session of its own. Operations of a few hundred
 * tokens are too small to be split between cores well: two threads of one session take a sixth longer.
 */
export async function threadedRuns(
  parameters: readonly RunParameter[],
  { path, name, lanes, threads, values }: ThreadedOptions,
): Promise<PartRuns> {
  const shared = parameters.map((each) => ({ ...each, values: sharedArray(each.values.length) }));
  const opened: Lane[] = [];
  try {
    for (let i = 0; i < lanes; i++)
      opened.push(new Lane({ path, name, threads, values, parameters: shared }, sumsOf(parameters)));
    const [{ inputs }] = (await Promise.all(opened.map((lane) => lane.opened))) as [
      GradientAnswer & { kind: 'opened' },
    ];
    const sums = (opened[0] as Lane).sums;
    return {
      inputs,
      values,
      lanes,
      sums,
      async run(parts) {
        for (const [i, { values: present }] of parameters.entries()) (shared[i] as RunParameter).values.set(present);
        const found = await allOf(opened.map((lane, at) => lane.run(parts.filter((_, i) => i % lanes === at))));
        addLanes(opened.map((lane) => lane.sums));
        return parts.map((_, i) => found[i % lanes]?.[Math.floor(i / lanes)] as ReadonlyMap<string, Tensor>);
      },
      close: async () => {
        await allOf(opened.map((lane) => lane.close()));
      },
    };
  } catch (cause) {
    await Promise.allSettled(opened.map((lane) => lane.close()));
    throw cause;
  }
}

/**
 * Waits for all, also where one fails: an answer that nobody waits for would be taken for the next one, and a thread that
 * is still closing reads the model's file.
 */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

/** One thread with its session. */
class Lane {
  readonly sums: PartRuns['sums'];
  readonly opened: Promise<GradientAnswer>;
  readonly #worker: Worker;
  readonly #ended: Promise<unknown>;
  /** What ended the thread. */
  #failure: unknown;

  constructor(data: Omit<GradientWorkerData, 'sums'>, sums: PartRuns['sums']) {
    this.sums = sums;
    const workerData: GradientWorkerData = { ...data, sums };
    this.#worker = new Worker(PROGRAM, { workerData });
    this.#ended = new Promise((resolve) => this.#worker.once('exit', resolve));
    this.#worker.on('error', (cause) => {
      this.#failure = threadError(cause);
    });
    this.opened = this.#answer();
    // Where another thread cannot be started, this one is closed before anybody waits for it.
    this.opened.catch(() => undefined);
  }

  async run(parts: readonly Part[]): Promise<readonly ReadonlyMap<string, Tensor>[]> {
    const answer = this.#answer();
    this.#send({ kind: 'run', parts: parts.map(({ feeds, share }) => ({ feeds: sent(feeds), share })) });
    const { outputs } = (await answer) as GradientAnswer & { kind: 'ran' };
    return outputs.map(received);
  }

  async close(): Promise<void> {
    this.#send({ kind: 'close' });
    await this.#ended;
    if (this.#failure !== undefined) throw this.#failure;
  }

  #send(request: GradientRequest): void {
    this.#worker.postMessage(request);
  }

  async #answer(): Promise<GradientAnswer> {
    const ended = this.#ended.then((code) => {
      throw this.#failure ?? new Error(`a thread of the training ended with code ${code}`);
    });
    let answer: GradientAnswer;
    try {
      [answer] = (await Promise.race([once(this.#worker, 'message'), ended])) as [GradientAnswer];
    } catch (cause) {
      // `once` hears of an error as it is.
      throw threadError(cause);
    }
    if (answer.kind !== 'failed') return answer;
    const { code, message, hint } = answer;
    throw code === undefined
      ? new Error(message)
      : new MbertError(code, message, { ...(hint !== undefined && { hint }) });
  }
}

/** What ended a thread: a lack of memory is no bug. */
function threadError(cause: unknown): unknown {
  if (!(cause instanceof Error && 'code' in cause && cause.code === 'ERR_WORKER_OUT_OF_MEMORY')) return cause;
  return new MbertError('USAGE', 'training: a thread ran out of memory', {
    hint: 'NODE_OPTIONS=--max-old-space-size=4096 allows 4 GB',
    cause,
  });
}

function sharedArray(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT));
}

function sumsOf(parameters: readonly RunParameter[]): PartRuns['sums'] {
  return new Map(
    parameters.flatMap(({ gradient, values }) =>
      gradient === undefined ? [] : [[gradient, sharedArray(values.length)] as const],
    ),
  );
}
