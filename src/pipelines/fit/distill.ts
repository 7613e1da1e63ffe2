import { isUnsupported, MbertError } from '../../errors.ts';
import type { Graph } from '../../ir/graph.ts';
import { nodesByName } from '../../ir/nodes-by-name.ts';
import { sameShape } from '../../ir/shape.ts';
import type { StepCount } from '../../options/step-count.ts';
import { type EncoderLayer, wholeEncoderLayers } from '../evaluate/encoder-layers.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import { train } from '../training/train.ts';
import type { TaughtLayer } from '../training/trained.ts';
import { BATCH } from '../training/training.ts';
import { withArrays } from '../training/with-arrays.ts';
import type { Distillation } from './types.ts';

/** The highest rate of learning: larger steps would first undo what was fitted. */
const RATE = 1.6e-4;

/**
 * Biases and the gains of norms move farther than weights, as nothing adds their steps up. With layer-norm-to-no-norm the
 * gains take the place of what LayerNorms divide by.
 */
const VECTOR_RATE = 3;

/** Options of `distill`. */
export interface DistillOptions extends FeedOptions {
  readonly samples: SampleSets;
  readonly steps: StepCount;
  readonly seed: number | undefined;
  /** Longest text, in tokens. */
  readonly maxLength: number;
  readonly progress: (step: string, done?: number, total?: number) => void;
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
  const { samples, steps, seed = 0, maxLength, progress, ...feeds } = options;
  const { arrays, stages, curve, after, heldOut } = await train({
    ...feeds,
    teacher: original,
    student: fitted,
    layers: layersByName(original, fitted),
    plan: {
      strategy: 'auxiliary',
      steps,
      views: ['full'],
      hasLabels: false,
      trainsTables: false,
      rate: RATE,
      vectorRate: VECTOR_RATE,
      seed,
      maxLength,
    },
    texts: samples.training,
    heldOut: samples.watched,
    progress,
  });
  if (stages.length === 0) return { graph: fitted, distillation: undefined };
  const [first] = curve;
  const trial = first && after && { samples: heldOut, before: first.sqnrDb, after: after.sqnrDb };
  const isKept = trial === undefined || trial.after > trial.before;
  const taken = stages.reduce((sum, stage) => sum + stage.steps, 0);
  return {
    graph: isKept ? withArrays(fitted, arrays) : fitted,
    distillation: { steps: taken, batch: BATCH, texts: samples.training.length, trial, curve, isKept },
  };
}

/**
 * The layers of the original and what passes made of them: all of it keeps its names. None where layers cannot be told
 * apart, so that only the answers count.
 */
function layersByName(original: Graph, fitted: Graph): TaughtLayer[] {
  const nodes = nodesByName(fitted);
  const layers = encoderLayersOrNone(original);
  return layers.map(({ attention, output }) => {
    const own = nodes.get(output.name);
    if (own === undefined || !sameShape(own.type.shape, output.type.shape)) {
      throw new MbertError('INVALID_GRAPH', `${output.name}: is not in both, the original and what was fitted to it`);
    }
    return {
      teacher: { attention: attention.name, output: output.name },
      student: { attention: nodes.has(attention.name) ? attention.name : undefined, output: output.name },
      weight: 1 / layers.length,
    };
  });
}

function encoderLayersOrNone(original: Graph): readonly EncoderLayer[] {
  try {
    return wholeEncoderLayers(original, original.name);
  } catch (cause) {
    if (!isUnsupported(cause)) throw cause;
    return [];
  }
}
