import type { Graph, Output } from '../../ir/graph.ts';
import { dequantized } from '../../ir/quantized.ts';
import type { Task } from '../../models/index.ts';
import { type LoadedSource, sourceLoader } from '../../opened/load-source.ts';
import { openOneOfTwo } from '../../opened/open-model.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { tableRows } from '../../opened/token-tables.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';
import type { Loader } from '../evaluate/in-turn.ts';
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
  const graph = model.asComputed?.() ?? model.reference();
  return {
    path,
    model,
    graph,
    vocabRows: tableRows(graph, 'input_ids'),
    tokenTypes: tableRows(graph, 'token_type_ids'),
  };
}

/** A side's loader, which tells how the model ran once it has. */
export interface SideLoader extends Loader {
  readonly side: Side;
  /** What ran; throws before the first load. */
  described(): Omit<VerifiedModel, 'runMs'> & Pick<LoadedSource, 'refusal'>;
}

/**
 * Threads of a session: one sequence at a time, two models beside each other, so that more threads would wait for one
 * another.
 */
const THREADS = 1;

/** A loader of a model in its runtime. Outputs that are stored as integers come as the real numbers that they stand for. */
export function loaderOf(side: Side): SideLoader {
  const { graph, path } = side;
  const stored = graph.outputs.filter(({ node }) => node.type.quant !== undefined);
  const real = graph.outputs.map(({ name, node }) => ({
    name,
    node: node.type.quant ? graph.add('dequantize', [node]) : node,
  }));
  const loader = sourceLoader(side.model.runnable, graph.withOutputs(real), { threads: THREADS });
  let loaded: LoadedSource | undefined;
  return {
    side,
    async load() {
      loaded = await loader.load();
      const { session, ran } = loaded;
      return { path, session: ran === 'graph' || stored.length === 0 ? session : withReals(session, stored) };
    },
    described() {
      if (loaded === undefined) throw new Error(`${path} has not been loaded`);
      const { runtime, ran, refusal } = loaded;
      return { path, architecture: side.model.architecture, runtime, ran, refusal };
    },
    remove: loader.remove,
  };
}

function withReals(session: RuntimeSession, stored: readonly Output[]): RuntimeSession {
  const run: RuntimeSession['run'] = async (feeds, wanted) => {
    const outputs = new Map(await session.run(feeds, wanted));
    for (const { name, node } of stored) {
      const tensor = outputs.get(name);
      if (tensor && node.type.quant) outputs.set(name, dequantized(tensor, node.type.quant));
    }
    return outputs;
  };
  return { ...session, run };
}
