import type { Graph, Node } from '../ir/graph.ts';
import { computedTensor, type Quant, readF32, type Tensor } from '../ir/tensor.ts';
import type { Weights } from './weights.ts';

/** Range of a value that quantization-aware training keeps, under `name.min` and `name.max`. */
export interface TrainedRange {
  readonly least: number;
  readonly most: number;
}

/**
 * Reads a range; undefined where the model was not trained so, and where what is kept is none, which `weights` reports.
 */
export function readRange(weights: Weights, name: string): TrainedRange | undefined {
  if (!weights.has(`${name}.min`) && !weights.has(`${name}.max`)) return undefined;
  const problems = weights.problemCount();
  const [low, high] = [weights.take(`${name}.min`, []), weights.take(`${name}.max`, [])];
  if (weights.problemCount() > problems) return undefined;
  const least = readF32(low)[0] as number;
  const most = readF32(high)[0] as number;
  if (least < most && least <= 0 && most >= 0) return { least, most };
  weights.refuse(`${name}.max`, `a range from ${least} to ${most} has no step at 0`);
  return undefined;
}

/** Rounds x to the 256 steps of the range `name`, as floats again; gives x itself where there is none. */
export function roundToRange(graph: Graph, weights: Weights, name: string, x: Node): Node {
  const range = readRange(weights, name);
  if (range === undefined) return x;
  const stored = graph.add('quantize', [x], {}, `${name}.stored`);
  graph.setType(stored, { dtype: 'i8', shape: x.type.shape, quant: stepsOf(range, -128) });
  return graph.add('dequantize', [stored], {}, name);
}

/**
 * Rounds a weight to the steps of its range, of which training leaves the lowest out of a narrow one. It stays a float
 * tensor: the code of the training multiplies floats as well, and integer kernels round its products in another way.
 */
export function roundWeight(tensor: Tensor, range: TrainedRange | undefined, isNarrow: boolean): Tensor {
  if (range === undefined) return tensor;
  const lowest = isNarrow ? -127 : -128;
  const { scale, zeroPoint } = stepsOf(range, lowest);
  const { fround } = Math;
  const least = fround((lowest - zeroPoint) * scale);
  const most = fround((127 - zeroPoint) * scale);
  const inverse = fround(1 / scale);
  const stepOfZero = zeroPoint - lowest;
  // Step by step in f32 as the kernel computes it: a weight half-way between two steps goes where training saw it go.
  return computedTensor('f32', tensor.shape, () => {
    const values = readF32(tensor);
    const result = new Float32Array(values.length);
    for (let i = 0; i < result.length; i++) {
      const shifted = fround(Math.min(most, Math.max(least, values[i] as number)) - least);
      const step = fround(fround(fround(shifted * inverse) - stepOfZero) + 0.5);
      result[i] = Math.floor(step) * scale;
    }
    return result;
  });
}

type TensorQuant = Extract<Quant, { per: 'tensor' }>;

/**
 * Moves a range so that 0 is one of its steps, which start at `lowest`, as Nudge does in
 * tensorflow/core/kernels/fake_quant_ops_functor.h.
 */
function stepsOf({ least, most }: TrainedRange, lowest: number): TensorQuant {
  const scale = Math.fround((most - least) / (127 - lowest));
  const zeroPoint = Math.min(127, Math.max(lowest, Math.round(lowest - least / scale)));
  return { per: 'tensor', scale, zeroPoint };
}
