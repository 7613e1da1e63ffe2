import type { Graph } from '../../graph.ts';
import type { Task } from '../../models/index.ts';
import { loadSource } from '../load-source.ts';
import { openOneOfTwo } from '../model.ts';
import type { OpenedModel } from '../opened-model.ts';
import { tableRows } from '../token-tables.ts';
import type { Running } from './running.ts';
import type { VerifiedModel } from './types.ts';

/** One of the models that are verified. */
export interface Side {
  readonly path: string;
  readonly model: OpenedModel;
  /** As the source has it, high-level ops found, symbols for all that is not fixed. */
  readonly graph: Graph;
  readonly vocabRows: number;
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

export function describeSide({ side, runtime, ran }: RunningSide): VerifiedModel {
  return { path: side.path, architecture: side.model.architecture, runtime, ran };
}

/** A side in its runtime. */
export interface RunningSide extends Running {
  readonly side: Side;
  readonly runtime: string;
  readonly ran: 'file' | 'graph';
}

/** One sequence at a time, two models beside each other: more threads would wait for one another. */
const THREADS = 1;

export async function startSide(side: Side): Promise<RunningSide> {
  return { side, path: side.path, ...(await loadSource(side.model.runnable, side.graph, { threads: THREADS })) };
}
