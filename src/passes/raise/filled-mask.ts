import type { Graph, Node } from '../../ir/graph.ts';
import { scalarOf } from '../../ir/match.ts';
import type { Pass } from '../../ir/pass.ts';
import { sameShape } from '../../ir/shape.ts';
import { type Choice, product, upright } from './attention-mask.ts';

/** Numbers from here down swallow what is added: the digits of f32 end at 4e22 beside them, and scores are some hundred. */
const SWALLOWS = -1e30;

interface Filled {
  readonly scores: Node;
  readonly choice: Choice;
}

/** Reads scores of a softmax of which some are replaced by a large negative number. */
function filledOf(graph: Graph, node: Node): Filled | null {
  if (node.op !== 'where' || node.type.dtype !== 'f32' || !isReadBySoftmax(graph, node)) return null;
  const [condition, a, b] = node.inputs as readonly [Node, Node, Node];
  for (const [scores, other, isNegated] of [
    [b, a, false],
    [a, b, true],
  ] as const) {
    const number = scalarOf(other);
    const isLeast = number !== null && Number.isFinite(number) && number <= SWALLOWS;
    if (isLeast && scalarOf(scores) === null && sameShape(scores.type.shape, node.type.shape)) {
      return { scores, choice: { condition, isNegated, number } };
    }
  }
  return null;
}

function isReadBySoftmax(graph: Graph, node: Node): boolean {
  return [...node.users].every(({ op }) => op === 'softmax') && !graph.isOutput(node);
}

/**
 * Adds a mask that was filled in: x + c is c where c swallows x, and x + 0 is x. Layers that choose by one condition add
 * one mask, and delegates have sums where they have no choices.
 */
export const raiseFilledMask: Pass = {
  name: 'raise-filled-mask',
  summary: 'softmax(where(mask, c, x))  ->  softmax(x + mask * c)',
  keeps: 'values',
  run(graph, context) {
    let rewrites = 0;
    const masks = new Map<string, Node>();
    const numbers = new Map<Node, number>();
    const keyOf = ({ condition, isNegated, number }: Choice) => {
      const place = numbers.get(condition) ?? numbers.size;
      numbers.set(condition, place);
      return `${place} ${isNegated} ${number}`;
    };
    for (const node of graph.nodes()) {
      const filled = context.keeps(node) ? null : filledOf(graph, node);
      if (filled === null) continue;
      const choice = upright(filled.choice);
      const key = keyOf(choice);
      const replaced = graph.replace(node, () => {
        const mask = masks.get(key) ?? product(graph, choice, `${node.name}.mask`);
        masks.set(key, mask);
        return graph.add('add', [filled.scores, mask], {}, node.name);
      });
      if (replaced) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
