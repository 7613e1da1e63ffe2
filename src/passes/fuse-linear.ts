import type { Call, Constant, Graph, Node } from '../ir/graph.ts';
import { any, either, op, weight, where } from '../ir/match.ts';
import { rewrite } from '../ir/pass.ts';
import { hasOneUse } from './attention.ts';

const plain = { activation: 'none' } as const;

const bare = where(
  op('linear', [any('x'), weight('weight')], plain),
  'whose result is not stored quantized',
  (node) => node.type.quant === undefined,
);

/** The rows of the weight are the outputs. */
const bias = where(weight('bias'), 'with a number for each output', ({ type }, { weight: rows }) => {
  return type.shape.length === 1 && type.shape[0] === rows?.type.shape[0];
});

const linear = either(
  op('linear', [any('x'), any('weight')], plain),
  op('linear', [any('x'), any('weight'), any('bias')], plain),
);

/** The input of a sum or an activation that the pattern has as a linear. */
function linearOf(root: Node): Call<'linear'> {
  return root.inputs.find((input) => input.op === 'linear') as Call<'linear'>;
}

/** linear(x) + b with b a constant per channel; relu(linear(x)) in one node. Only where nothing else reads the linear. */
export const fuseLinear = rewrite({
  name: 'fuse-linear',
  summary: 'relu(x @ W + b)  ->  linear(x, W, b) with activation relu',
  keeps: 'bits',
  pattern: either(op('add', [bare, bias]), op('relu', [linear])),
  unless: (graph, _, root) => (hasOneUse(graph, linearOf(root)) ? null : `${linearOf(root).name} has other readers`),
  replace(graph: Graph, _, root) {
    const { inputs, attrs, name } = linearOf(root);
    if (root.op === 'relu') return graph.add('linear', inputs, { activation: 'relu' }, name);
    const addend = root.inputs.find((input): input is Constant => input.op === 'constant') as Constant;
    return graph.add('linear', [...inputs, addend], attrs, name);
  },
});
