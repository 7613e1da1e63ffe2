import { MbertError } from '../errors.ts';
import type { Call, Graph } from './graph.ts';
import { type Cost, nameInputs } from './op.ts';
import { opDef } from './ops/index.ts';
import { type Bindings, bindDim, type Shape, sizeOf } from './shape.ts';

/** Cost of sums, copies and everything else that reads and writes each number once. */
const ONCE: Cost = { onnx: 12, tflite: 3 };

/** Estimated time of a run, in multiply-adds of a matrix product. */
export interface OperationCount {
  /** Multiplications and additions of matrix products and convolutions. */
  readonly multiplyAdds: number;
  /** Time of all other ops, as multiply-adds that take as long. */
  readonly others: number;
}

/** Length of a sequence where a model fixes none: that of a usual sentence. */
const SEQUENCE = 64;

/**
 * Sizes for the symbols of a graph's inputs: one sequence (of each other axis one) with the tokens of a usual sentence,
 * as far as the model has so many positions.
 */
export function usualSizes(graph: Graph, maxPositions = SEQUENCE): Record<string, number> {
  const { shape = [] } = graph.inputs[0]?.type ?? {};
  const sizes: Record<string, number> = {};
  for (const [axis, dim] of shape.entries()) {
    if (typeof dim === 'string') sizes[dim] = axis === shape.length - 1 ? Math.min(SEQUENCE, maxPositions) : 1;
  }
  return sizes;
}

/**
 * Estimates the time of one run of a graph, for sizes of all its symbols; caches and fused kernels are not considered.
 * Throws MISMATCH for a symbol without a size.
 */
export function countOperations(graph: Graph, bindings: Bindings, runtime: 'onnx' | 'tflite'): OperationCount {
  let multiplyAdds = 0;
  let others = 0;
  for (const node of graph.nodes()) {
    if (node.op === 'input' || node.op === 'constant') continue;
    const count = operationsOf(node, bindings, runtime);
    multiplyAdds += count.multiplyAdds;
    others += count.others;
  }
  return { multiplyAdds, others };
}

/** Estimates the time of one node in the same way. */
export function operationsOf(node: Call, bindings: Bindings, runtime: 'onnx' | 'tflite'): OperationCount {
  const numbers = numbersOf(node.type.shape, bindings);
  const def = opDef(node.op);
  const types = node.inputs.map(({ type }) => type);
  const terms = def.terms?.(nameInputs(def, types, node.name));
  if (terms === undefined) return { multiplyAdds: 0, others: numbers * (def.cost ?? ONCE)[runtime] };
  return { multiplyAdds: numbers * numbersOf([terms], bindings), others: 0 };
}

/**
 * The number of elements of a shape. Throws MISMATCH where a symbol is not bound: a size left out would give a wrong
 * count.
 */
function numbersOf(shape: Shape, bindings: Bindings): number {
  return sizeOf(
    shape.map((dim) => {
      const size = bindDim(dim, bindings);
      if (size === null) throw new MbertError('MISMATCH', `operations cannot be counted: ${dim} has no size`);
      return size;
    }),
  );
}
