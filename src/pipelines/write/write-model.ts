import { basename, dirname, join } from 'node:path';
import { type OutputFile, writeFiles } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import { shapeText } from '../../ir/shape.ts';
import type { TensorType } from '../../ir/tensor.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { Run } from '../../options/run.ts';
import type { Writing } from '../../options/writing.ts';
import type { Target } from '../../passes/index.ts';
import { exportGraph, type Properties } from './export-graph.ts';
import type { WritePlan } from './plans.ts';
import { countCalls, type PassSummary, type Prepared } from './prepare.ts';

/** One written model. */
export interface WrittenFile {
  readonly target: Target;
  /** The written files with their sizes in bytes: the model first, then external data if any. */
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** True where nothing was written, as asked: the sizes are those that the files would have. */
  readonly dryRun?: true;
  readonly inputs: readonly { readonly name: string; readonly type: string }[];
  readonly outputs: readonly { readonly name: string; readonly type: string }[];
  /** Number of nodes before the passes, constants not counted. */
  readonly nodesBefore: number;
  /** Number of nodes after the passes, constants not counted. */
  readonly nodesAfter: number;
  readonly passes: readonly PassSummary[];
}

/** Sums up the sizes of a model's files, external data included, in bytes. */
export function totalSize(files: WrittenFile['files']): number {
  return files.reduce((sum, file) => sum + file.size, 0);
}

/** Options of `writeModel`. */
export interface WriteOptions {
  readonly plan: WritePlan;
  readonly writing: Writing;
  /** Metadata of this file besides what every file carries. */
  readonly properties: Properties;
  readonly run: Run;
  /** The graph to write. Default: the prepared one. */
  readonly graph?: Graph;
}

/** Writes a prepared model and says what was written. Throws MbertError; a failure leaves no file. */
export async function writeModel(
  model: OpenedModel,
  prepared: Prepared,
  { plan: { target, path }, writing, properties, run, graph = prepared.graph }: WriteOptions,
): Promise<WrittenFile> {
  const name = basename(path);
  const chunks = exportGraph(model, graph, { target, name, writing, properties });
  const files = writing.dryRun
    ? await sizesOf(dirname(path), chunks)
    : await writeFiles(dirname(path), withProgress(chunks, run));
  return {
    target,
    files,
    ...(writing.dryRun && { dryRun: true as const }),
    inputs: graph.inputs.map((input) => ({ name: input.name, type: typeText(input.type) })),
    outputs: graph.outputs.map((output) => ({ name: output.name, type: typeText(output.node.type) })),
    nodesBefore: prepared.nodesBefore,
    nodesAfter: countCalls(graph),
    passes: prepared.reports,
  };
}

function typeText({ dtype, shape }: TensorType): string {
  return `${dtype}${shapeText(shape)}`;
}

/** Paths and sizes of files that are not written; an exporter that knows no size makes the bytes. */
async function sizesOf(folder: string, files: AsyncIterable<OutputFile>): Promise<WrittenFile['files']> {
  const sizes: { path: string; size: number }[] = [];
  for await (const { name, size, chunks } of files) {
    let bytes = size ?? 0;
    if (size === undefined) for await (const chunk of chunks) bytes += chunk.byteLength;
    sizes.push({ path: join(folder, name), size: bytes });
  }
  return sizes;
}

/** Passes files on and reports the bytes of each chunk once it is written. */
async function* withProgress(files: AsyncIterable<OutputFile>, run: Run): AsyncIterable<OutputFile> {
  for await (const { name, size, chunks } of files) {
    let done = 0;
    yield {
      name,
      ...(size !== undefined && { size }),
      chunks: (async function* () {
        for await (const chunk of chunks) {
          yield chunk;
          done += chunk.byteLength;
          run.progress(`writing ${name}`, done, size);
        }
      })(),
    };
  }
}
