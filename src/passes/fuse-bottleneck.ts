import type { Graph, Node } from '../ir/graph.ts';
import type { Pass } from '../ir/pass.ts';
import { computedTensor, readF32, type Tensor } from '../ir/tensor.ts';
import { type ConstantLinear, constantLinear } from './attention.ts';
import { type MakeOnce, makingOnce } from './make-once.ts';

/** A part of a stack: zeros where there is no tensor. */
interface Part {
  readonly tensor: Tensor | undefined;
  readonly rows: number;
}

/**
 * Stacks tensors along the first axis, [a; b; …], with rows of zeros for a missing one. Computed when it is written, so
 * that the parts are not held twice.
 */
function stackedTensor(parts: readonly Part[]): Tensor {
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

/** Joins names: `layer.0.attention.query` and `layer.0.attention.key` give `layer.0.attention.query+key`. */
function joinedName(names: readonly string[]): string {
  const paths = names.map((name) => name.split('.'));
  const first = paths[0] ?? [];
  let common = 0;
  while (common < first.length - 1 && paths.every((path) => path[common] === first[common])) common++;
  const prefix = first.slice(0, common).join('.');
  const parts = paths.map((path) => path.slice(common).join('.')).join('+');
  return prefix === '' ? parts : `${prefix}.${parts}`;
}

/** Builds one linear over the stacked weights of all, and replaces each by a slice of it. */
function fuse(graph: Graph, linears: readonly ConstantLinear[], makeOnce: MakeOnce): void {
  const [first] = linears as readonly [ConstantLinear];
  const weights = linears.map((linear) => ({ tensor: linear.weight.tensor, rows: rowsOf(linear) }));
  const biases = linears.map((linear) => ({ tensor: linear.bias?.tensor, rows: rowsOf(linear) }));
  const path = joinedName(linears.map(({ node }) => node.name));
  const stacked = (parts: readonly Part[]) => {
    const heights = parts.map(({ rows }) => rows).join();
    return makeOnce(
      parts.map(({ tensor }) => tensor),
      heights,
      () => stackedTensor(parts),
    );
  };
  const inputs: Node[] = [first.x, graph.constant(stacked(weights), `${path}.weight`)];
  if (linears.some(({ bias }) => bias)) inputs.push(graph.constant(stacked(biases), `${path}.bias`));
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
 * Fuses linears that read the same input: in MobileBERT the bottleneck, shared bottleneck and value (512 -> 384), and
 * query and key. It pays where the input is quantized anew for each of them.
 */
export const fuseBottleneck: Pass = {
  name: 'fuse-bottleneck',
  summary: 'linear(x, A), linear(x, B)  ->  slices of linear(x, [A; B])',
  keeps: 'values',
  run(graph, context) {
    const groups = new Map<string, Node[]>();
    for (const node of graph.nodes()) {
      const linear = constantLinear(node);
      if (!linear || context.keeps(node)) continue;
      const key = `${linear.node.attrs.activation} ${linear.x.name}`;
      const group = groups.get(key);
      if (group) group.push(node);
      else groups.set(key, [node]);
    }
    const makeOnce = makingOnce();
    let rewrites = 0;
    for (const group of groups.values()) {
      if (group.length < 2) continue;
      // Matched again: what these linears read may itself have become a slice of a group fused before.
      fuse(
        graph,
        group.map(constantLinear).filter((linear) => linear !== null),
        makeOnce,
      );
      rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
