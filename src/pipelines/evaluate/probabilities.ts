import { readF32, type Tensor, tensorOf } from '../../ir/tensor.ts';
import type { LogitsKind } from '../../models/index.ts';

type Outputs = ReadonlyMap<string, Tensor>;

/** The output of a classifier that was written with --softmax, in place of `logits`. */
export const PROBABILITY = 'probability';

/**
 * Two models' outputs, in which the logits of the one are probabilities where the other one gives such: a file that was
 * written with --softmax is compared with its source by what both say of the classes.
 */
export function inOneMeasure(a: Outputs, b: Outputs, logitsKind: LogitsKind | undefined): readonly [Outputs, Outputs] {
  if (a.has(PROBABILITY) === b.has(PROBABILITY)) return [a, b];
  return a.has(PROBABILITY) ? [a, withProbability(b, logitsKind)] : [withProbability(a, logitsKind), b];
}

function withProbability(outputs: Outputs, logitsKind: LogitsKind | undefined): Outputs {
  const toProbabilities = logitsKind === 'multi-label' ? sigmoids : softmaxRows;
  return new Map(
    [...outputs].map(([name, tensor]) => (name === 'logits' ? [PROBABILITY, toProbabilities(tensor)] : [name, tensor])),
  );
}

function sigmoids(logits: Tensor): Tensor {
  return tensorOf(
    'f32',
    logits.shape,
    readF32(logits).map((logit) => 1 / (1 + Math.exp(-logit))),
  );
}

/** Softmax along the last axis. */
function softmaxRows(logits: Tensor): Tensor {
  const values = readF32(logits).slice();
  const width = logits.shape.at(-1) ?? 1;
  for (let start = 0; start < values.length; start += width) {
    values.set(softmax(values.subarray(start, start + width)), start);
  }
  return tensorOf('f32', logits.shape, values);
}

/** Probabilities of the logits of one distribution. */
export function softmax(logits: Float32Array): Float64Array {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) largest = Math.max(largest, logit);
  const values = new Float64Array(logits.length);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const value = Math.exp((logits[i] as number) - largest);
    values[i] = value;
    sum += value;
  }
  for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) / sum;
  return values;
}
