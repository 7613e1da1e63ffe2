import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sampleFeeds, tokenInputsOf } from '../../calibration/graph-session.ts';
import { type OutputFile, writeFiles } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Task } from '../../models/index.ts';
import { runtimeFor } from '../../runtimes/index.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { type Answer, answerOf } from './answers.ts';

/** How sequences reach a model. */
export interface FeedOptions {
  readonly task: Task | undefined;
  readonly pad: number;
  readonly mask: number | undefined;
}

/** A model file in its own runtime, fed with rows. */
export interface LoadedModel {
  readonly runtime: string;
  answer(row: TokenRow, more?: ReadonlyMap<string, Tensor>): Promise<Answer>;
  /** The outputs as they are. */
  outputs(row: TokenRow): Promise<ReadonlyMap<string, Tensor>>;
  close(): Promise<void>;
}

/** Two models run beside each other, and one sequence is too little work to share: more threads wait for one another. */
const THREADS = 1;

/** Loads a file whose inputs are those of `graph`. A fixed sequence is padded; another one is as long as the row. */
export async function loadModel(path: string, graph: Graph, options: FeedOptions): Promise<LoadedModel> {
  const runtime = runtimeFor(path);
  const session = await runtime.load(path, { threads: THREADS });
  const inputs = tokenInputsOf(graph);
  const fixed = inputs.shape.at(-1);
  const run = (row: TokenRow, more: ReadonlyMap<string, Tensor> = new Map()) => {
    const feeds = sampleFeeds(inputs, row, typeof fixed === 'number' ? fixed : row.inputIds.length, options.pad);
    for (const [name, tensor] of more) feeds.set(name, tensor);
    return session.run(feeds);
  };
  return {
    runtime: `${runtime.name} ${await runtime.version()}`,
    answer: async (row, more) => answerOf(options.task, await run(row, more), row, options.mask),
    outputs: (row) => run(row),
    close: () => session.close(),
  };
}

/** Hands out paths for files that are gone when `work` ends. */
export async function withFolder<T>(
  work: (write: (files: AsyncIterable<OutputFile>) => Promise<string>) => Promise<T>,
) {
  const folder = mkdtempSync(join(tmpdir(), 'mbert-quantize-'));
  let count = 0;
  try {
    return await work(async (files) => {
      const part = join(folder, String(count++));
      const [model] = await writeFiles(part, files);
      return (model as { readonly path: string }).path;
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
