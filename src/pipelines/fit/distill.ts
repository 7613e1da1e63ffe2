import { loadOnnxModel, modelOf, tokenInputsOf } from '../../calibration/graph-session.ts';
import { MbertError } from '../../errors.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import type { Constant, Graph, Node } from '../../ir/graph.ts';
import { shapeText } from '../../ir/shape.ts';
import { takeF32, tensorOf } from '../../ir/tensor.ts';
import { Adam } from '../../solve/adam.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import { distillGraph } from './distill-graph.ts';
import { distillBatches, withJoined } from './distill-texts.ts';
import { GradientRuns } from './gradient-runs.ts';
import { measureHeldOut } from './measure.ts';
import type { Distillation } from './types.ts';

/** Texts of one step: fewer are a poor estimate of the gradient, more take proportionally longer. */
const BATCH = 32;

/**
 * Largest step of a bias, and of a weight in a linear of INPUTS inputs: larger steps would first undo what was fitted.
 */
const RATE = 8e-5;
const INPUTS = 256;

/** The share of steps in which the rate rises. It falls to 0 along a cosine afterwards. */
const WARM_UP = 0.05;

/** Options of `distill`. */
export interface DistillOptions extends FeedOptions {
  readonly samples: SampleSets;
  readonly steps: number;
  readonly seed: number | undefined;
  /** Longest text, in tokens. */
  readonly maxLength: number;
  readonly progress: (done: number, total: number) => void;
}

/**
 * Trains a fitted graph further, by gradient descent towards the original on the calibration texts and on new ones made
 * of them. The trained graph is kept where it is nearer to the original than the fitted one on held-out texts, single
 * and joined, or where there are none. Nothing is trained where passes have changed nothing. Throws UNSUPPORTED where
 * an op has no gradient.
 */
export async function distill(
  original: Graph,
  fitted: Graph,
  options: DistillOptions,
): Promise<{ readonly graph: Graph; readonly distillation: Distillation | undefined }> {
  const { samples, steps, maxLength } = options;
  const onValidation = { ...samples, proof: withJoined(samples.validation, maxLength), labels: undefined };
  const error = (graph: Graph) =>
    measureHeldOut(original, graph, { ...options, samples: onValidation, progress: () => undefined });
  const before = await error(fitted);
  if (before?.sqnrDb === Number.POSITIVE_INFINITY) return { graph: fitted, distillation: undefined };
  const trained = await train(original, fitted, options);
  const after = await error(trained);
  const isKept = before === undefined || after === undefined || after.sqnrDb > before.sqnrDb;
  const trial = before && after && { samples: before.samples, before: before.sqnrDb, after: after.sqnrDb };
  return { graph: isKept ? trained : fitted, distillation: { steps, batch: BATCH, trial, isKept } };
}

/** Throws UNSUPPORTED for a graph that takes one sequence at a time, or has no padding mask. */
export function refuseUntrainable(graph: Graph): void {
  const { shape, names } = tokenInputsOf(graph);
  const refuse = (problem: string) => {
    const hint = '--distill takes checkpoints, and .onnx files of any batch size with an attention_mask';
    throw new MbertError('UNSUPPORTED', `${graph.name}: ${problem}`, { hint });
  };
  if (typeof shape[0] === 'number' || shape.length !== 2)
    refuse(`takes inputs ${shapeText(shape)}, too few to learn from`);
  if (!names.includes('attention_mask')) refuse('has no input attention_mask');
}

async function train(original: Graph, fitted: Graph, options: DistillOptions): Promise<Graph> {
  const { samples, steps, seed = 0, maxLength, progress } = options;
  const step = await distillGraph(original, fitted, options.task);
  const values = step.parameters.map(({ constant }) => takeF32(constant.tensor));
  const adam = new Adam(
    step.parameters.map(({ constant }, i) => ({ values: values[i] as Float32Array, rate: relativeRate(constant) })),
  );
  const session = await loadOnnxModel(
    modelOf(
      step.graph,
      step.parameters.map(({ gradient }) => gradient),
    ),
  );
  const runs = new GradientRuns(session, step, values, options.pad);
  try {
    let done = 0;
    for (const rows of distillBatches(samples.calibration, { size: BATCH, count: steps, seed, maxLength })) {
      adam.step(await runs.gradients(rows), rateAt(done, steps));
      progress(++done, steps);
    }
  } finally {
    await session.close();
  }
  const graph = copyGraph(fitted);
  const nodes = new Map(graph.nodes().map((node) => [node.name, node]));
  for (const [i, { constant }] of step.parameters.entries()) {
    const tensor = tensorOf('f32', constant.tensor.shape, values[i] as Float32Array);
    graph.replace(nodes.get(constant.name) as Node, () => graph.constant(tensor, constant.name));
  }
  return graph;
}

/**
 * The learning rate of a parameter, relative to that of a bias. A step moves all weights of a row; what that does to
 * their sum grows with their number.
 */
function relativeRate({ tensor: { shape } }: Constant): number {
  return shape.length === 2 ? INPUTS / (shape[1] as number) : 1;
}

/** The learning rate at a step of `steps`. */
function rateAt(step: number, steps: number): number {
  const rising = Math.min(1, (step + 1) / (WARM_UP * steps));
  return RATE * rising * 0.5 * (1 + Math.cos((Math.PI * step) / steps));
}
