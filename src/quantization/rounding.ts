import type { Call, Graph, Node } from '../ir/graph.ts';
import { aroundAxis, axisOf } from '../ir/shape.ts';
import { readF32 } from '../ir/tensor.ts';
import { keepsChannels } from '../ir/token-wise.ts';
import { compensationOf, quantizeCompensated } from './compensation.ts';
import type { WeightRounding } from './plan-numbers.ts';
import { hasWeight, isTable } from './settings.ts';
import { type QuantizedWeight, quantizeWeight } from './weights.ts';

/**
 * Computes Σ Wᵀ W over the linears that read a table's rows with nothing but moves between, as MobileBERT's trigram
 * front: with it, the error of a row is the error that it causes in their results. Undefined where something else reads
 * the rows.
 */
export function tableGram(graph: Graph, table: Call<'gather'>): Float64Array | undefined {
  const width = table.type.shape.at(-1) as number;
  const gram = new Float64Array(width * width);
  const live = new Set(graph.nodes());
  // A part of a concatenation starts at a column of its own; what is moved along tokens keeps its columns.
  const stack: { readonly node: Node; readonly column: number }[] = [{ node: table, column: 0 }];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (graph.isOutput(at.node)) return undefined;
    for (const user of at.node.users) {
      if (!live.has(user)) continue;
      if (hasWeight(user) && user.inputs[0] === at.node) addProducts(gram, width, user, at.column);
      else if ((user.op === 'shift' || user.op === 'reshape') && keepsChannels(user)) {
        stack.push({ node: user, column: at.column });
      } else if (
        user.op === 'concat' &&
        axisOf(user.attrs.axis, user.type.shape.length) === user.type.shape.length - 1
      ) {
        for (const column of columnsOf(user, at.node)) stack.push({ node: user, column: at.column + column });
      } else return undefined;
    }
  }
  return gram;
}

/** Finds where the columns of a part begin in a concatenation, once for each time that it is there. */
function columnsOf(concat: Call<'concat'>, part: Node): number[] {
  const columns: number[] = [];
  let column = 0;
  for (const input of concat.inputs) {
    if (input === part) columns.push(column);
    column += input.type.shape.at(-1) as number;
  }
  return columns;
}

/** Adds wᵀ w of the columns [from, from + width) of every row, for a convolution of every tap. */
function addProducts(gram: Float64Array, width: number, node: Call<'linear' | 'conv1d'>, from: number): void {
  const weight = node.inputs[1] as Node & { readonly op: 'constant' };
  const { outer, length } = aroundAxis(weight.tensor.shape, weight.tensor.shape.length - 1);
  const values = readF32(weight.tensor);
  for (let row = 0; row < outer; row++) {
    const start = row * length + from;
    for (let i = 0; i < width; i++) {
      const factor = values[start + i] as number;
      for (let j = 0; j < width; j++) {
        gram[i * width + j] = (gram[i * width + j] as number) + factor * (values[start + j] as number);
      }
    }
  }
}

/**
 * Builds a rounding of tables and weights. Tables that only linears read are rounded so that these linears' results are
 * right, other weights as `others` says, or to the nearest.
 */
export function roundForReaders(
  graph: Graph,
  others: (...args: Parameters<WeightRounding>) => QuantizedWeight | undefined = () => undefined,
): WeightRounding {
  return (node, weight, options) => {
    const gram = isTable(node) ? tableGram(graph, node) : undefined;
    if (gram) return quantizeCompensated(weight.tensor, options, compensationOf(gram));
    return others(node, weight, options) ?? quantizeWeight(weight.tensor, options);
  };
}
