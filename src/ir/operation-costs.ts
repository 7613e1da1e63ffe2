import { MbertError } from '../errors.ts';
import type { Graph } from './graph.ts';
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

/**
 * Estimates the time of one run of a graph, for sizes of all its symbols; caches and fused kernels are not considered.
 * Throws MISMATCH for a symbol without a size.
 */
export function countOperations(graph: Graph, bindings: Bindings, runtime: 'onnx' | 'tflite'): OperationCount {
  let multiplyAdds = 0;
  let others = 0;
  for (const node of graph.nodes()) {
    if (node.op === 'input' || node.op === 'constant') continue;
    const numbers = numbersOf(node.type.shape, bindings);
    const def = opDef(node.op);
    const types = node.inputs.map(({ type }) => type);
    const terms = def.terms?.(nameInputs(def, types, node.name));
    if (terms === undefined) others += numbers * (def.cost ?? ONCE)[runtime];
    else multiplyAdds += numbers * numbersOf([terms], bindings);
  }
  return { multiplyAdds, others };
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
