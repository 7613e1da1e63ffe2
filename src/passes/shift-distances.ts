import { evaluateNode } from '../ir/evaluate.ts';
import type { Call, Constant, Graph, Node } from '../ir/graph.ts';
import type { Pass } from '../ir/pass.ts';
import { type Dim, isStatic } from '../ir/shape.ts';
import { integerTensor, readIntegers } from '../ir/tensor.ts';
import { hasOneUse } from './attention.ts';

/** Scores of which each row is read at places that depend on the distance i - j alone. */
interface Scored {
  readonly product: Call<'matmul'>;
  /** Row of the table for each distance from length - 1 down to 1 - length. */
  readonly rows: readonly number[];
  readonly length: number;
}

/** Finds y[i, j] = x[i]·table[row(i - j)] as it is looked up in all scores x tableᵀ, whose rows lie end to end. */
function scoredOf(graph: Graph, node: Node): Scored | null {
  if (node.op !== 'gather') return null;
  const [flat, places] = node.inputs as readonly [Node, Node];
  const product = flat.inputs[0];
  if (flat.op !== 'reshape' || places.op !== 'constant' || product?.op !== 'matmul') return null;
  const shape = product.type.shape;
  const [length, width] = shape.slice(-2) as [Dim, Dim];
  if (typeof length !== 'number' || typeof width !== 'number' || length < 2) return null;
  const isFlat = flat.type.shape.length === shape.length - 1 && flat.type.shape.at(-1) === length * width;
  if (!isFlat || node.attrs.axis !== flat.type.shape.length - 1 || !isSquare(places, length)) return null;
  if (!hasOneUse(graph, flat) || !hasOneUse(graph, product)) return null;
  const rows = rowsByDistance(readIntegers(places.tensor), length, width);
  return rows && { product, rows, length };
}

function isSquare({ tensor: { shape } }: Constant, length: number): boolean {
  return shape.length === 2 && shape[0] === length && shape[1] === length;
}

/** The rows by distance that places i · width + row(i - j) read; null where they are no such places. */
function rowsByDistance(places: readonly number[], length: number, width: number): number[] | null {
  const rows = new Array<number>(2 * length - 1).fill(-1);
  for (let i = 0; i < length; i++) {
    for (let j = 0; j < length; j++) {
      const row = (places[i * length + j] as number) - i * width;
      const at = length - 1 - i + j;
      if (row < 0 || row >= width || (rows[at] !== -1 && rows[at] !== row)) return null;
      rows[at] = row;
    }
  }
  return rows;
}

/** Builds the table with a row for each distance, in their order. */
function spread(graph: Graph, product: Call<'matmul'>, rows: readonly number[]): Node {
  const table = product.inputs[1] as Node;
  const rank = table.type.shape.length;
  const places = graph.constant(integerTensor('i32', rows), `${product.name}.rows`);
  const axis = product.attrs.transposeB ? rank - 2 : rank - 1;
  const gathered = graph.add('gather', [table, places], { axis }, `${product.name}.table`);
  if (table.op !== 'constant' || !isStatic(gathered.type.shape)) return gathered;
  const inputs = [table, places].map((constant) => evaluateNode(constant, [], {}));
  return graph.constant(evaluateNode(gathered, inputs, {}), gathered.name);
}

/**
 * Scores a row of the table for each distance, [length, 2 length - 1], of which row i is needed from a place on that
 * moves by one each row. Read with rows that are one shorter, these stand in columns: two reshapes and two slices, which
 * delegates have, in place of a look-up that takes longer than the product.
 */
export const shiftDistances: Pass = {
  name: 'shift-distances',
  summary: 'gather(x tableᵀ, i rows + row(i - j))  ->  x (table by distance)ᵀ, shifted by slices',
  keeps: 'values',
  run(graph, context) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      const scored = context.keeps(node) ? null : scoredOf(graph, node);
      if (scored === null) continue;
      const { product, rows, length } = scored;
      const { name } = node;
      const lead = product.type.shape.slice(0, -2);
      const width = rows.length;
      const replaced = graph.replace(node, () => {
        const x = product.inputs[0] as Node;
        const all = graph.add('matmul', [x, spread(graph, product, rows)], product.attrs, product.name);
        const flat = graph.add('reshape', [all], { shape: [...lead, length * width] }, `${name}.flat`);
        const cut = { axis: lead.length, start: length - 1, end: length - 1 + length * (width - 1) };
        const shifted = graph.add('slice', [flat], cut, `${name}.shifted`);
        const turned = graph.add('reshape', [shifted], { shape: [...lead, length, width - 1] }, `${name}.turned`);
        return graph.add('slice', [turned], { axis: lead.length + 1, start: 0, end: length }, name);
      });
      if (replaced) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
