import type { Graph } from '../../ir/graph.ts';
import { dequantized } from '../../ir/quantized.ts';
import type { Task } from '../../models/index.ts';
import { loadSource } from '../../opened/load-source.ts';
import { openOneOfTwo } from '../../opened/open-model.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { tableRows } from '../../opened/token-tables.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';
import type { Running } from '../evaluate/running.ts';
import type { VerifiedModel } from './types.ts';

/** One of the models that are verified. */
export interface Side {
  readonly path: string;
  readonly model: OpenedModel;
  /** The graph as the source has it, with high-level ops found and symbols for all dimensions that are not fixed. */
  readonly graph: Graph;
  /** Rows of the word table, see `tableRows`. */
  readonly vocabRows: number;
  /** Rows of the table of token types. */
  readonly tokenTypes: number;
}

/** Opens a source of any format; `task` is for checkpoints. Throws what the importers throw. */
export async function openSide(path: string, task: Task | undefined): Promise<Side> {
  const model = await openOneOfTwo(path, task);
  const graph = model.reference();
  return {
    path,
    model,
    graph,
    vocabRows: tableRows(graph, 'input_ids'),
    tokenTypes: tableRows(graph, 'token_type_ids'),
  };
}

export function describeSide({ side, runtime, ran }: RunningSide, runMs: number): VerifiedModel {
  return { path: side.path, architecture: side.model.architecture, runtime, ran, runMs };
}

/** A model loaded into its runtime. */
export interface RunningSide extends Running {
  readonly side: Side;
  readonly runtime: string;
  readonly ran: 'file' | 'graph';
  readonly refusal: string | undefined;
}

/**
 * Threads of a session: one sequence at a time, two models beside each other, so that more threads would wait for one
 * another.
 */
const THREADS = 1;

/** Loads a model into its runtime. Outputs that are stored as integers come as the real numbers that they stand for. */
export async function startSide(side: Side): Promise<RunningSide> {
  const { graph } = side;
  const stored = graph.outputs.filter(({ node }) => node.type.quant !== undefined);
  const real = graph.outputs.map(({ name, node }) => ({
    name,
    node: node.type.quant ? graph.add('dequantize', [node]) : node,
  }));
  const loaded = await loadSource(side.model.runnable, graph.withOutputs(real), { threads: THREADS });
  if (loaded.ran === 'graph' || stored.length === 0) return { side, path: side.path, ...loaded };
  const run: RuntimeSession['run'] = async (feeds, wanted) => {
    const outputs = new Map(await loaded.session.run(feeds, wanted));
    for (const { name, node } of stored) {
      const tensor = outputs.get(name);
      if (tensor && node.type.quant) outputs.set(name, dequantized(tensor, node.type.quant));
    }
    return outputs;
  };
  return { side, path: side.path, ...loaded, session: { ...loaded.session, run } };
}
