import { MbertError } from '../errors.ts';
import type { Graph, Node } from './graph.ts';
import { type Attrs, nameInputs } from './op.ts';
import { opDef } from './ops/index.ts';
import { dequantized, rounded } from './quantized.ts';
import { type Bindings, bindDim, shapeText } from './shape.ts';
import type { Tensor } from './tensor.ts';

/**
 * The sizes of the inputs' symbols in these feeds. Throws MISMATCH for a missing feed, for one of another dtype or
 * shape, and for two sizes of one symbol.
 */
export function bindInputs(graph: Graph, feeds: ReadonlyMap<string, Tensor>): Bindings {
  const bindings: Record<string, number> = {};
  for (const input of graph.inputs) {
    const feed = feeds.get(input.name);
    if (!feed) throw new MbertError('MISMATCH', `${input.name}: no value is given for this input`);
    const { shape, dtype } = input.type;
    const fits = feed.dtype === dtype && feed.shape.length === shape.length;
    shape.forEach((dim, i) => {
      if (typeof dim === 'string') bindings[dim] ??= feed.shape[i] as number;
    });
    if (!fits || shape.some((dim, i) => bindDim(dim, bindings) !== feed.shape[i])) {
      throw new MbertError(
        'MISMATCH',
        `${input.name}: takes ${dtype}${shapeText(shape)}, got ${feed.dtype}${shapeText(feed.shape)}`,
      );
    }
  }
  return bindings;
}

/**
 * Computes one node from its inputs' real values; the result of a quantized node is rounded to what it stores. Throws
 * UNSUPPORTED for an op without reference semantics.
 */
export function evaluateNode(node: Node, inputs: readonly Tensor[], bindings: Bindings): Tensor {
  const { dtype, quant } = node.type;
  if (node.op === 'constant') return quant ? dequantized(node.tensor, quant) : node.tensor;
  const def = node.op === 'input' ? undefined : opDef(node.op);
  if (node.op === 'input' || !def?.evaluate)
    throw new MbertError('UNSUPPORTED', `${node.name}: ${node.op} cannot be evaluated`);
  const value = def.evaluate(nameInputs(def, inputs, node.name), node.attrs as Attrs, bindings);
  return quant ? rounded(value, dtype, quant) : value;
}

/**
 * Computes the outputs of a graph, by name, by the ops' reference semantics: exact to f32 and slow, for tests and small
 * graphs. `feeds` holds a tensor for each input, by name; `also` names further nodes whose values are returned.
 * Quantized values come as the real numbers that they stand for. Throws MISMATCH for feeds that do not fit the inputs,
 * UNSUPPORTED for an op without reference semantics.
 */
export function evaluate(
  graph: Graph,
  feeds: ReadonlyMap<string, Tensor>,
  also: readonly Node[] = [],
): ReadonlyMap<string, Tensor> {
  const bindings = bindInputs(graph, feeds);
  const values = new Map<Node, Tensor>();
  const usesLeft = new Map<Node, number>();
  const nodes = graph.nodes();
  for (const node of nodes) for (const input of node.inputs) usesLeft.set(input, (usesLeft.get(input) ?? 0) + 1);
  for (const node of [...also, ...graph.outputs.map((output) => output.node)])
    usesLeft.set(node, (usesLeft.get(node) ?? 0) + 1);
  for (const node of nodes) {
    const feed = node.op === 'input' ? feeds.get(node.name) : undefined;
    values.set(
      node,
      feed ??
        evaluateNode(
          node,
          node.inputs.map((input) => values.get(input) as Tensor),
          bindings,
        ),
    );
    for (const input of node.inputs) {
      const remaining = (usesLeft.get(input) as number) - 1;
      usesLeft.set(input, remaining);
      if (remaining === 0) values.delete(input);
    }
  }
  const results = new Map<string, Tensor>();
  for (const node of also) results.set(node.name, values.get(node) as Tensor);
  for (const { name, node } of graph.outputs) results.set(name, values.get(node) as Tensor);
  return results;
}
