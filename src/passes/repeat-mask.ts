import type { Call, Graph, Node } from '../ir/graph.ts';
import type { Pass } from '../ir/pass.ts';
import { sameShape } from '../ir/shape.ts';

/** The least number of heads: of the four of a MobileBERT the repeated mask is a quarter of the scores, and nothing is won. */
const LEAST_HEADS = 8;

/**
 * Repeats an attention mask of one row, once for all layers, for each query. ONNX Runtime adds a row to a matrix row by row,
 * which takes 1.4 times as long as to add a matrix. What is repeated is one head's share of a layer's scores.
 */
export const repeatMask: Pass = {
  name: 'repeat-mask',
  summary: 'scores[b, h, q, k] + mask[b, 1, 1, k]  ->  scores + expand(mask)[b, 1, q, k], one expand for all layers',
  keeps: 'bits',
  run(graph, { keeps }) {
    let rewrites = 0;
    const repeated = new Map<Node, Node[]>();
    for (const sum of graph.nodes()) {
      if (sum.op !== 'add' || keeps(sum)) continue;
      const mask = sum.inputs.find((input) => isRowOf(sum, input));
      if (mask === undefined) continue;
      const known = repeated.get(mask) ?? [];
      if (known.length === 0 && [...mask.users].filter((user) => isRowOf(user, mask)).length < 2) continue;
      repeated.set(mask, known);
      graph.replace(sum, () => {
        const inputs = sum.inputs.map((input) => (input === mask ? repeatedFor(graph, sum, mask, known) : input));
        return graph.add('add', inputs, {}, sum.name);
      });
      rewrites++;
    }
    return { rewrites, declined: [] };
  },
};

/** Whether a sum of scores [b, h, q, k] has a computed mask [b, 1, 1, k] as operand. */
function isRowOf({ op, type: { shape } }: Node, mask: Node): boolean {
  if (op !== 'add' || mask.op === 'constant' || mask.type.quant !== undefined) return false;
  const [batch, heads, queries, keys] = shape;
  if (shape.length !== 4 || !(Number(heads) >= LEAST_HEADS) || queries === 1) return false;
  return sameShape(mask.type.shape, [batch, 1, 1, keys] as typeof shape);
}

function repeatedFor(graph: Graph, { type }: Call, mask: Node, known: Node[]): Node {
  const shape = type.shape.with(1, 1);
  const same = known.find((each) => sameShape(each.type.shape, shape));
  if (same) return same;
  const made = graph.add('expand', [mask], { shape }, `${mask.name}.repeated`);
  known.push(made);
  return made;
}
