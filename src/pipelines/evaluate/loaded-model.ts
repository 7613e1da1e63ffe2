import { join } from 'node:path';
import { sampleFeeds, tokenInputsOf } from '../../calibration/graph-session.ts';
import { type OutputFile, writeFiles } from '../../io/files.ts';
import { makeTemporaryFolder } from '../../io/temporary-folder.ts';
import type { Graph } from '../../ir/graph.ts';
import { refuseHeavy } from '../../ir/refuse-heavy.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { LogitsKind, Task } from '../../models/index.ts';
import { runtimeFor } from '../../runtimes/index.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { type Answer, answerOf } from './answers.ts';
import { thresholdOf } from './decisions.ts';

/** Options for feeding sequences to a model and reading its answers. */
export interface FeedOptions {
  readonly task: Task | undefined;
  /** The kind of a head's logits, where they are not those of classes of which one is right. */
  readonly logitsKind?: LogitsKind | undefined;
  /** Token id of padding. */
  readonly pad: number;
  /** Token id of [MASK]; undefined where the vocabulary has none. */
  readonly mask: number | undefined;
}

/** A model file in its own runtime, fed with rows. */
export interface LoadedModel {
  readonly runtime: string;
  /** Runs the model on a row, with `more` inputs besides its tokens, and reads the answer. */
  answer(row: TokenRow, more?: ReadonlyMap<string, Tensor>): Promise<Answer>;
  /** Runs the model on a row and returns the outputs as they are. */
  outputs(row: TokenRow): Promise<ReadonlyMap<string, Tensor>>;
  close(): Promise<void>;
}

/**
 * Threads of a session: two models run beside each other, and one sequence is too little work to share, so that more
 * threads would wait for one another.
 */
const THREADS = 1;

/**
 * Loads a file whose inputs and first output are those of `graph`. Rows are padded to its fixed length; where it has none, each is run
 * as long as it is.
 */
export async function loadModel(path: string, graph: Graph, options: FeedOptions): Promise<LoadedModel> {
  refuseHeavy(graph, path);
  const runtime = runtimeFor(path);
  const session = await runtime.load(path, { threads: THREADS });
  const inputs = tokenInputsOf(graph);
  const fixed = inputs.shape.at(-1);
  const threshold = thresholdOf(graph);
  const run = (row: TokenRow, more: ReadonlyMap<string, Tensor> = new Map()) => {
    const feeds = sampleFeeds(inputs, row, typeof fixed === 'number' ? fixed : row.inputIds.length, options.pad);
    for (const [name, tensor] of more) feeds.set(name, tensor);
    return session.run(feeds);
  };
  return {
    runtime: `${runtime.name} ${await runtime.version()}`,
    answer: async (row, more) => answerOf({ ...options, threshold }, await run(row, more), row),
    outputs: (row) => run(row),
    close: () => session.close(),
  };
}

/**
 * Runs `work` with a function that writes a model into a temporary folder and returns its path; the folder is removed
 * when `work` ends.
 */
export async function withFolder<T>(
  work: (write: (files: AsyncIterable<OutputFile>) => Promise<string>) => Promise<T>,
) {
  const folder = makeTemporaryFolder('quantize');
  let count = 0;
  try {
    return await work(async (files) => {
      const part = join(folder.path, String(count++));
      const [model] = await writeFiles(part, files);
      return (model as { readonly path: string }).path;
    });
  } finally {
    folder.remove();
  }
}
