import type { Call, Graph, Node } from '../../ir/graph.ts';
import { sameShape } from '../../ir/shape.ts';
import { affineTable, type PerChannel, perChannel, scaledRows, timesPlus, vectorTensor } from '../affine.ts';
import { constantLinear, hasOneUse } from '../attention.ts';

/** Whether a node has one reader only and can be multiplied by a factor per channel by changing its constants. */
function canAbsorb(graph: Graph, node: Node): boolean {
  if (!hasOneUse(graph, node)) return false;
  const [x, y] = node.inputs;
  switch (node.op) {
    case 'constant':
      return true;
    case 'linear':
      return constantLinear(node) !== null && node.attrs.activation === 'none';
    case 'gather':
      return node.attrs.axis === 0 && x?.op === 'constant' && x.type.shape.length === 2 && hasOneUse(graph, x);
    case 'slice':
      return x !== undefined && node.attrs.axis === 0 && x.type.shape.length > 1 && canAbsorb(graph, x);
    case 'reshape':
      return x !== undefined && x.type.shape.at(-1) === node.type.shape.at(-1) && canAbsorb(graph, x);
    case 'add':
      return (
        x !== undefined &&
        y !== undefined &&
        canAbsorb(graph, x) &&
        canAbsorb(graph, y) &&
        [x, y].every((operand) => sameChannels(operand, node))
      );
    default:
      return false;
  }
}

function sameChannels(operand: Node, result: Node): boolean {
  return operand.type.shape.at(-1) === result.type.shape.at(-1);
}

/** Builds the node times g, plus c if there is one, by new constants. */
function absorb(graph: Graph, node: Node, g: PerChannel, c: PerChannel | null): Node {
  const [x, y] = node.inputs as readonly [Node, Node];
  switch (node.op) {
    case 'constant':
      return graph.constant(affineTable(node.tensor, g, c ?? undefined), node.name);
    case 'gather':
      return graph.add('gather', [absorb(graph, x, g, c), y], node.attrs, node.name);
    case 'slice':
      return graph.add('slice', [absorb(graph, x, g, c)], node.attrs, node.name);
    case 'reshape':
      return graph.add('reshape', [absorb(graph, x, g, c)], node.attrs, node.name);
    case 'add':
      return graph.add('add', [absorb(graph, x, g, c), absorb(graph, y, g, null)], {}, node.name);
    default:
      return absorbInLinear(graph, node as Call<'linear'>, g, c);
  }
}

function absorbInLinear(graph: Graph, node: Call<'linear'>, g: PerChannel, c: PerChannel | null): Node {
  const [x, weight, bias] = node.inputs;
  if (x === undefined || weight?.op !== 'constant') return node;
  const scaled = graph.constant(scaledRows(weight.tensor, g), weight.name);
  const offset = bias?.op === 'constant' ? timesPlus(perChannel(bias.tensor), g, c) : c;
  const biases = offset ? [graph.constant(vectorTensor(offset), bias?.name ?? `${node.name}.bias`)] : [];
  return graph.add('linear', [x, scaled, ...biases], node.attrs, node.name);
}

/**
 * Folds a norm into the weights that compute its input, also through a sum of embeddings: no-norm(W x + b) = (g W) x +
 * (g b + c). Takes no division, so any gamma will do. False, and no change, where something else reads what the norm
 * reads or where its constants cannot take up a factor.
 */
export function absorbIntoWriters(graph: Graph, norm: Node, x: Node, g: PerChannel, c: PerChannel): boolean {
  if (!sameShape(x.type.shape, norm.type.shape) || !canAbsorb(graph, x)) return false;
  return graph.replace(norm, () => absorb(graph, x, g, c));
}
