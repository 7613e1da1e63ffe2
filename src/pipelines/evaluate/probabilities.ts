import type { Node } from '../../ir/graph.ts';
import { opDef } from '../../ir/ops/index.ts';
import { readF32, type Tensor, tensorOf } from '../../ir/tensor.ts';
import type { LogitsKind } from '../../models/index.ts';

type Outputs = ReadonlyMap<string, Tensor>;

/** The output of a classifier that was written with --softmax, in place of `logits`. */
export const PROBABILITY = 'probability';

/**
 * Tells by which op a graph made probabilities of the logits that a value would be otherwise: softmax of classes of which
 * one is right, a sigmoid of each label. Undefined for logits and for anything else.
 */
export function probabilityMaker(value: Node | undefined): 'softmax' | 'sigmoid' | undefined {
  let maker = value;
  while (maker !== undefined && isSameValues(maker)) maker = maker.inputs[0];
  return maker?.op === 'softmax' || maker?.op === 'sigmoid' ? maker.op : undefined;
}

/** Whether a node gives the values that it reads, in another order or type. */
function isSameValues({ op }: Node): boolean {
  if (op === 'input' || op === 'constant') return false;
  return op === 'dequantize' || op === 'cast' || opDef(op).moves !== undefined;
}

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
  return tensorOf('f32', logits.shape, readF32(logits).map(sigmoid));
}

/** The probability of a label, of its logit. */
export function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
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
