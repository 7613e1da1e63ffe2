import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { modelOf, stageOnnxModel } from '../../calibration/graph-session.ts';
import { LANE_VALUES, RUN_VALUES } from './gradient-memory.ts';
import { type PartRuns, type RunParameter, sequentialRuns } from './part-runs.ts';
import type { StepGraph } from './step-graph.ts';
import { PROGRAM, threadedRuns } from './threaded-runs.ts';
import type { TrainedArray } from './trained.ts';

/**
 * Lanes that gradients are added up in, as many as threads that run parts of a batch side by side, where there are cores
 * for them. Memory allows two: each thread holds what its part has computed.
 */
const LANES = 2;

/** Fewest values of a step's trained arrays for which threads are worth their start, some tenths of a second. */
const FEWEST_VALUES = 1e6;

/**
 * Loads the graph of a step into ONNX Runtime, in several threads where there are cores for them. What comes out does not
 * depend on that: a training may go on on another machine.
 */
export async function openPartRuns(step: StepGraph, arrays: ReadonlyMap<string, TrainedArray>): Promise<PartRuns> {
  const parameters = parametersOf(step, arrays);
  // The last layers' gradients come first: what they are computed of is not held until the first layers' are known.
  const gradients = [...step.parameters, ...step.tables].map(({ gradient }) => gradient).reverse();
  // Tables whose rows are added up share a gradient.
  const staged = await stageOnnxModel(modelOf(step.graph, [...new Set(gradients)]));
  try {
    const runs = await load();
    return {
      ...runs,
      async close() {
        try {
          await runs.close();
        } finally {
          staged.remove();
        }
      },
    };
  } catch (cause) {
    staged.remove();
    throw cause;
  }

  async function load(): Promise<PartRuns> {
    const count = parameters.reduce((sum, { values }) => sum + values.length, 0);
    if (count < FEWEST_VALUES) return sequentialRuns(await staged.load({}), parameters, { values: RUN_VALUES });
    // A package that runs from its sources has no built programs.
    if (availableParallelism() < LANES || !existsSync(PROGRAM)) {
      return sequentialRuns(await staged.load({}), parameters, { values: LANE_VALUES, lanes: LANES });
    }
    return threadedRuns(parameters, {
      path: staged.path,
      name: step.graph.name,
      lanes: LANES,
      threads: Math.floor(availableParallelism() / LANES),
      values: LANE_VALUES,
    });
  }
}

/** All arrays that the graph is fed, with the gradients of those that are trained. */
function parametersOf(step: StepGraph, arrays: ReadonlyMap<string, TrainedArray>): RunParameter[] {
  const gradients = new Map(step.parameters.map(({ name, gradient }) => [name, gradient.name]));
  return step.fed.flatMap(({ name, input }) => {
    const { shape, values } = arrays.get(name) as TrainedArray;
    return [{ input: input.name, shape, values, gradient: gradients.get(name) }];
  });
}
