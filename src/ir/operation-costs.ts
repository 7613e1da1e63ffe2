import { MbertError } from '../errors.ts';
import type { Graph } from './graph.ts';
import { type Cost, nameInputs } from './op.ts';
import { opDef } from './ops/index.ts';
import { type Bindings, bindDim, type Shape, sizeOf } from './shape.ts';

/** What sums, copies and everything else cost that reads and writes each number once. */
const ONCE: Cost = { onnx: 12, tflite: 3 };

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
    const def = opDef(node.op);
    const types = node.inputs.map(({ type }) => type);
    const terms = def.terms?.(nameInputs(def, types, node.name));
    if (terms === undefined) others += numbers * (def.cost ?? ONCE)[runtime];
    else multiplyAdds += numbers * numbersOf([terms], bindings);
  }
  return { multiplyAdds, others };
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
