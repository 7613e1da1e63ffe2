import { MbertError } from '../errors.ts';
import type { Graph, Node } from './graph.ts';
import type { OpName } from './ops/index.ts';
import { type Bindings, bindDim, type Shape, sizeOf } from './shape.ts';

/**
 * What an op costs for each number that it gives, in multiply-adds of a matrix product that take as long: measured on one
 * thread with 64 rows of 128 and 512 numbers, forty of the op in a row, in ONNX Runtime 1.30 and in LiteRT 2.5's
 * WebAssembly build (whose products are slower, so that everything else counts less). Rounded: machines differ.
 */
const COSTS: { readonly [op in OpName]?: { readonly onnx: number; readonly tflite: number } } = {
  layerNorm: { onnx: 35, tflite: 13 },
  noNorm: { onnx: 30, tflite: 6 },
  gelu: { onnx: 38, tflite: 20 },
  softmax: { onnx: 25, tflite: 13 },
  tanh: { onnx: 23, tflite: 17 },
  relu: { onnx: 8, tflite: 1 },
  mul: { onnx: 15, tflite: 4 },
  // Views, or names for constants.
  reshape: { onnx: 0, tflite: 0 },
  expand: { onnx: 0, tflite: 0 },
};

/** Sums, copies and everything else that reads and writes each number once. */
const OTHER = { onnx: 12, tflite: 3 };

export interface OperationCount {
  /** Multiplications and additions of matrix products and convolutions. */
  readonly multiplyAdds: number;
  /** What all other ops take, in multiply-adds of the same time. */
  readonly others: number;
}

/** Counts what a run of a graph takes, for sizes of all its symbols. An estimate of time: it knows nothing of caches and fused kernels. */
export function countOperations(graph: Graph, bindings: Bindings, runtime: 'onnx' | 'tflite'): OperationCount {
  let multiplyAdds = 0;
  let others = 0;
  for (const node of graph.nodes()) {
    if (node.op === 'input' || node.op === 'constant') continue;
    const numbers = numbersOf(node.type.shape, bindings);
    const terms = termsOf(node);
    if (terms === 0) others += numbers * (COSTS[node.op] ?? OTHER)[runtime];
    else multiplyAdds += numbers * numbersOf([terms], bindings);
  }
  return { multiplyAdds, others };
}

/** How many products each number of a result is the sum of; 0 for ops that are no products. */
function termsOf(node: Node): number | string {
  const [x, weight] = node.inputs;
  if (node.op === 'matmul') return x?.type.shape.at(-1) ?? 0;
  if (node.op !== 'linear' && node.op !== 'conv1d') return 0;
  return sizeOf((weight?.type.shape.slice(1) ?? []) as readonly number[]);
}

/** Throws where a symbol is not bound: a size that is left out would be a wrong answer. */
function numbersOf(shape: Shape, bindings: Bindings): number {
  return sizeOf(
    shape.map((dim) => {
      const size = bindDim(dim, bindings);
      if (size === null) throw new MbertError('MISMATCH', `operations cannot be counted: ${dim} has no size`);
      return size;
    }),
  );
}
