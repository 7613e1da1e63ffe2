import type { Graph } from '../../ir/graph.ts';
import { keepNothing, runPasses } from '../../ir/pass.ts';
import type { Statistics, StatisticsRequest } from '../../ir/statistics.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { PassChoice } from '../../options/passes.ts';
import type { Run } from '../../options/run.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import type { Writing } from '../../options/writing.ts';
import type { Target } from '../../passes/index.ts';
import { computeInFloats } from './compute-in-floats.ts';
import { arrangeOutputs } from './outputs.ts';
import { addTokenTypes, dropTokenTypes } from './token-types.ts';

/** What one pass did to a graph that is written. */
export interface PassSummary {
  readonly name: string;
  readonly rewrites: number;
  /** Where it could have changed something but did not, each with the reason. */
  readonly declined: readonly string[];
  /** Decisions of a calibrated pass, each with its expected gain. */
  readonly notes?: readonly string[];
  /** All of these in one line. */
  readonly summary?: string;
}

export interface Prepared {
  readonly graph: Graph;
  readonly reports: readonly PassSummary[];
  /** Nodes before the passes, constants not counted. */
  readonly nodesBefore: number;
}

export interface PrepareOptions {
  readonly shape: ShapeOptions;
  readonly passes: PassChoice;
  readonly writing: Pick<Writing, 'outputs' | 'softmax' | 'dropTokenTypes' | 'unusedTokenTypes'>;
  readonly run: Run;
  /** Answers passes that are calibrated. */
  readonly statistics?:
    | ((graph: Graph, requests: readonly StatisticsRequest[], samples?: 'some' | 'all') => Promise<Statistics>)
    | undefined;
}

/** The graph of a model as it will be written: built for the target, passes run, outputs in the target's order. */
export async function prepare(model: OpenedModel, target: Target, options: PrepareOptions): Promise<Prepared> {
  const { shape, passes, writing, run, statistics } = options;
  const graph = model.build(target, shape);
  if (writing.dropTokenTypes) dropTokenTypes(graph, model);
  if (writing.unusedTokenTypes) addTokenTypes(graph);
  arrangeOutputs(graph, target, model, writing);
  const nodesBefore = countCalls(graph);
  run.progress('running passes');
  const selected = passes.select(target).filter(({ name }) => !model.applied?.includes(name));
  const reports = await runPasses(graph, selected, {
    keeps: passes.keeps,
    observers: run.observers,
    ...(statistics && {
      statistics: (requests: readonly StatisticsRequest[], samples?: 'some' | 'all') =>
        statistics(graph, requests, samples),
    }),
  });
  if (target === 'tflite' && isStored(graph)) {
    const behind = await runPasses(graph, [computeInFloats], { ...keepNothing, observers: run.observers });
    reports.push(...behind.filter(({ rewrites }) => rewrites > 0));
  }
  return {
    graph,
    nodesBefore,
    reports: reports.map(({ pass: { name }, rewrites, declined, notes, summary }) => ({
      name,
      rewrites,
      declined,
      ...(notes && { notes }),
      ...(summary !== undefined && { summary }),
    })),
  };
}

/** True for a graph with values that are stored as integers. */
function isStored(graph: Graph): boolean {
  return graph.nodes().some(({ type }) => type.quant !== undefined);
}

/** Nodes that compute something. */
export function countCalls(graph: Graph): number {
  return graph.nodes().filter(({ op }) => op !== 'input' && op !== 'constant').length;
}
