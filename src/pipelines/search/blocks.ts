import type { Graph, Node } from '../../ir/graph.ts';
import { tokenInput } from '../../ir/names.ts';
import { sameShape } from '../../ir/shape.ts';
import type { PlannedGroup, PrunePlan } from '../../passes/prune/prune-plan.ts';
import { encoderLayers } from '../evaluate/encoder-layers.ts';

/** A layer of the teacher that may become something smaller. Its nodes are named, as graphs are copied. */
export interface Block {
  /** The layer's place, counted from 0. */
  readonly layer: number;
  /** Name of the value that it reads; undefined where it reads more than one, so that it cannot be left out. */
  readonly input: string | undefined;
  /** Name of the value that it gives. */
  readonly output: string;
  /** Names of all nodes that compute it from its input. */
  readonly nodes: ReadonlySet<string>;
  /** Its heads and its networks of neurons, in computing order. */
  readonly groups: readonly PlannedGroup[];
}

/**
 * Finds the layers of a graph with the groups that a plan has for them. Throws UNSUPPORTED for a graph without layers.
 */
export function findBlocks(graph: Graph, plan: PrunePlan): Block[] {
  const layers = encoderLayers(graph, graph.name);
  const groups = new Map(plan.groups.map((group) => [group.name, group]));
  const places = new Map(graph.nodes().map((node, place) => [node, place]));
  return layers.map(({ attention, output }, layer) => {
    const input = layers[layer - 1]?.output ?? firstInput(graph, attention, output);
    const inside = input && nodesBetween(input, output);
    const nodes = [...(inside ?? [])].sort((a, b) => (places.get(a) as number) - (places.get(b) as number));
    return {
      layer,
      input: input?.name,
      output: output.name,
      nodes: new Set(nodes.map(({ name }) => name)),
      groups: nodes.flatMap(({ name }) => groups.get(name) ?? []),
    };
  });
}

/** The last value before the first attention through which all that the layer knows of its tokens goes. */
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
function nodesBetween(input: Node, output: Node): Set<Node> | undefined {
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
