import type { Graph, Node } from '../graph.ts';
import type { Pass } from '../pass.ts';
import { computedTensor, readF32, type Tensor } from '../tensor.ts';
import { type ConstantLinear, constantLinear } from './attention.ts';

/** [a; b; …] along the first axis, made when it is written: the parts are not held twice. */
function stackedTensor(parts: readonly { readonly tensor: Tensor | undefined; readonly rows: number }[]): Tensor {
  const width = parts.find(({ tensor }) => tensor)?.tensor?.shape.slice(1) ?? [];
  const rows = parts.reduce((total, part) => total + part.rows, 0);
  const rowSize = width[0] ?? 1;
  return computedTensor('f32', [rows, ...width], () => {
    const values = new Float32Array(rows * rowSize);
    let at = 0;
    for (const { tensor, rows: count } of parts) {
      if (tensor) values.set(readF32(tensor), at);
      at += count * rowSize;
    }
    return values;
  });
}

function rowsOf({ weight }: ConstantLinear): number {
  return weight.tensor.shape[0] as number;
}

/** One linear over the stacked weights of all, and a slice of it in the place of each. */
function fuse(graph: Graph, linears: readonly ConstantLinear[]): void {
  const [first] = linears as readonly [ConstantLinear];
  const weights = linears.map((linear) => ({ tensor: linear.weight.tensor, rows: rowsOf(linear) }));
  const biases = linears.map((linear) => ({ tensor: linear.bias?.tensor, rows: rowsOf(linear) }));
  const name = linears.map(({ node }) => node.name.split(/[./]/).slice(-2).join('.')).join('+');
  const prefix = first.node.name.split(/[./]/).slice(0, -2).join('.');
  const path = prefix === '' ? name : `${prefix}.${name}`;
  const inputs: Node[] = [first.x, graph.constant(stackedTensor(weights), `${path}.weight`)];
  if (linears.some(({ bias }) => bias)) inputs.push(graph.constant(stackedTensor(biases), `${path}.bias`));
  const fused = graph.add('linear', inputs, first.node.attrs, path);
  let start = 0;
  for (const linear of linears) {
    const end = start + rowsOf(linear);
    const part = { axis: fused.type.shape.length - 1, start, end };
    graph.replace(linear.node, () => graph.add('slice', [fused], part, linear.node.name));
    start = end;
  }
}

/**
 * Linears that read the same input become one: MobileBERT's bottleneck, shared bottleneck and value (512 -> 384), query
 * and key stacked. It pays where the input is quantized anew for each of them.
 */
export const fuseBottleneck: Pass = {
  name: 'fuse-bottleneck',
  summary: 'linear(x, A), linear(x, B)  ->  slices of linear(x, [A; B])',
  keeps: 'values',
  run(graph, context) {
    const readers = new Map<Node, Map<string, ConstantLinear[]>>();
    for (const node of graph.nodes()) {
      const linear = constantLinear(node);
      if (!linear || context.keeps(node)) continue;
      const groups = readers.get(linear.x) ?? new Map<string, ConstantLinear[]>();
      readers.set(linear.x, groups);
      const group = groups.get(linear.node.attrs.activation) ?? [];
      groups.set(linear.node.attrs.activation, group);
      group.push(linear);
    }
    let rewrites = 0;
    for (const groups of readers.values()) {
      for (const linears of groups.values()) {
        if (linears.length < 2) continue;
        fuse(graph, linears);
        rewrites++;
      }
    }
    return { rewrites, declined: [] };
  },
};
