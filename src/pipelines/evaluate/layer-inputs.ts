import type { Graph, Node } from '../../ir/graph.ts';
import { tokenInput } from '../../ir/names.ts';
import { sameShape } from '../../ir/shape.ts';
import type { EncoderLayer } from './encoder-layers.ts';

/**
 * Finds the value that each layer of a graph reads: what the one before gives, or, for the first one, the last value
 * through which all that it knows of its tokens goes. Undefined where there is none.
 */
export function layerInputs(graph: Graph, layers: readonly EncoderLayer[]): (Node | undefined)[] {
  return layers.map(
    ({ attention, output }, layer) => layers[layer - 1]?.output ?? firstInput(graph, attention, output),
  );
}

function firstInput(graph: Graph, attention: Node, output: Node): Node | undefined {
  const behind = dependentsOf(attention);
  return graph
    .nodes()
    .filter((node) => !behind.has(node) && isLike(node, output) && nodesBetween(node, output) !== undefined)
    .at(-1);
}

function isLike({ op, type }: Node, output: Node): boolean {
  return op !== 'input' && op !== 'constant' && sameShape(type.shape, output.type.shape);
}

/** All that is computed from a node, itself included. */
export function dependentsOf(node: Node): ReadonlySet<Node> {
  const found = new Set<Node>([node]);
  const stack = [node];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    for (const user of next.users) {
      if (found.has(user)) continue;
      found.add(user);
      stack.push(user);
    }
  }
  return found;
}

/**
 * The computed nodes on the way from a value to another one, the last one included; undefined where tokens come in on
 * another way. The mask may: it says which tokens there are, and nothing of them.
 */
export function nodesBetween(input: Node, output: Node): Set<Node> | undefined {
  const found = new Set<Node>();
  const stack = [output];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (node === input || node.op === 'constant' || found.has(node)) continue;
    if (node.op === 'input') {
      if (tokenInput(node.name) === 'attention_mask') continue;
      return undefined;
    }
    found.add(node);
    stack.push(...node.inputs);
  }
  return found;
}
