import type { Graph, Node } from '../../ir/graph.ts';
import { scalarOf } from '../../ir/match.ts';
import type { Pass } from '../../ir/pass.ts';
import { sameShape } from '../../ir/shape.ts';
import { scalarTensor } from '../../ir/tensor.ts';

/** A choice between 0 and a number: the number where the condition holds, or, if negated, where it does not. */
export interface Choice {
  readonly condition: Node;
  readonly isNegated: boolean;
  readonly number: number;
}

/** Reads a `where` as a choice, if it is one. */
function choiceOf(node: Node): Choice | null {
  if (node.op !== 'where' || node.type.dtype !== 'f32') return null;
  const [condition, a, b] = node.inputs as readonly [Node, Node, Node];
  const [x, y] = [scalarOf(a), scalarOf(b)];
  if (x === 0 && y !== null) return { condition, isNegated: true, number: y };
  if (y === 0 && x !== null) return { condition, isNegated: false, number: x };
  return x !== null && isOwnTest(condition, b) ? { condition, isNegated: false, number: x } : null;
}

/** True where a value is tested for not being 0: where it is not chosen, it is 0. */
function isOwnTest(condition: Node, value: Node): boolean {
  const [test, tested] = [bare(condition), bare(value)];
  return test.op === 'cast' && test.inputs[0] === tested && sameShape(condition.type.shape, value.type.shape);
}

function bare(node: Node): Node {
  return node.op === 'reshape' ? (node.inputs[0] as Node) : node;
}

/** Takes a `not` off the condition: not(x) chooses as x does with the sides swapped. */
export function upright(choice: Choice): Choice {
  if (choice.condition.op !== 'not') return choice;
  return { ...choice, condition: choice.condition.inputs[0] as Node, isNegated: !choice.isNegated };
}

/** Builds (1 - condition) c or condition c: 1 and 0 times a finite number are exact. */
export function product(graph: Graph, { condition, isNegated, number }: Choice, name: string): Node {
  let kept: Node = graph.add('cast', [condition], { to: 'f32' }, `${name}.condition`);
  if (isNegated) kept = graph.add('sub', [graph.constant(scalarTensor(1), `${name}.one`), kept], {}, `${name}.padding`);
  return graph.add('mul', [kept, graph.constant(scalarTensor(number), `${name}.least`)], {}, name);
}

/**
 * Writes a mask that is chosen as one that is multiplied. The source's own number stays: -10000, the least float or
 * whatever it is.
 */
export const raiseAttentionMask: Pass = {
  name: 'raise-attention-mask',
  summary: 'where(mask, 0, c)  ->  (1 - mask) * c',
  keeps: 'values',
  run(graph, context) {
    let rewrites = 0;
    const declined: string[] = [];
    for (const node of graph.nodes()) {
      const choice = choiceOf(node);
      if (choice === null || context.keeps(node)) continue;
      if (!Number.isFinite(choice.number)) {
        declined.push(`${node.name}: 0 times ${choice.number} is no number`);
        continue;
      }
      if (graph.replace(node, () => product(graph, upright(choice), node.name))) rewrites++;
    }
    return { rewrites, declined };
  },
};
