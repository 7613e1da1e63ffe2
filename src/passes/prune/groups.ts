import type { Call, Graph, Node } from '../../ir/graph.ts';
import { opDef } from '../../ir/ops/index.ts';
import { product } from '../../ir/shape.ts';
import { type ConstantLinear, constantLinear, contextOf, hasOneUse } from '../attention.ts';
import { scoresOf } from '../drop-key-bias.ts';
import { queryAndKey } from '../fit/fit-sites.ts';

/** The heads of one attention, or the neurons of one feed-forward network: units that can be taken out one by one. */
export interface PruneGroup {
  readonly kind: 'heads' | 'neurons';
  /** The linear that reads all units; the group goes by its name. */
  readonly reader: ConstantLinear;
  /** The linears that write them: a unit has as many neighbouring channels in each as in the others. */
  readonly writers: readonly ConstantLinear[];
  /** The nodes between writers and reader, in the order in which they are computed. */
  readonly between: readonly Call[];
  /** Number of units. */
  readonly count: number;
}

/**
 * Finds the groups of a graph in computing order. `declined` says why what looks like one is none. A neuron is a
 * channel between two linears that only elementwise ops treat; a head is a block of channels of attention's value, and
 * of its query and key.
 */
export function pruneGroups(
  graph: Graph,
  keeps: (node: Node) => boolean,
): { readonly groups: readonly PruneGroup[]; readonly declined: readonly string[] } {
  const order = graph.nodes();
  const places = new Map(order.map((node, place) => [node, place]));
  const tokens = product(graph.inputs[0]?.type.shape ?? []);
  const groups: PruneGroup[] = [];
  const declined: string[] = [];
  for (const node of order) {
    const reader = constantLinear(node);
    if (reader === null || keeps(node) || product(node.type.shape.slice(0, -1)) !== tokens) continue;
    const found = headsOf(graph, reader) ?? neuronsOf(graph, reader);
    if (typeof found === 'string') declined.push(`${node.name}: ${found}`);
    if (found === null || typeof found === 'string' || found.count < 2) continue;
    if (found.writers.some((writer) => keeps(writer.node))) continue;
    const between = found.between.toSorted((a, b) => (places.get(a) as number) - (places.get(b) as number));
    groups.push({ ...found, between });
  }
  return { groups, declined };
}

/** The heads whose joined context a linear reads; null where it reads something else, a string where they are not apart. */
function headsOf(graph: Graph, reader: ConstantLinear): PruneGroup | string | null {
  if (!hasOneUse(graph, reader.x)) return null;
  const context = contextOf(graph, reader.x);
  if (context === null || typeof context === 'string') return context;
  const { joined, turned, product, probabilities, value } = context;
  if (probabilities.op !== 'softmax' || !hasOneUse(graph, probabilities)) return 'its probabilities have other uses';
  const scores = scoresOf(graph, probabilities);
  if (scores === null || typeof scores === 'string') return scores ?? 'its scores are no product of queries and keys';
  const linears = queryAndKey(graph, scores);
  const count = scores.type.shape[1];
  if (linears === null || typeof count !== 'number') return 'its queries and keys are no linears split into heads';
  const [query, key] = linears.map((node) => constantLinear(node) as ConstantLinear) as [
    ConstantLinear,
    ConstantLinear,
  ];
  const inside = nodesBetween(reader.x, new Set([query.node, key.node, value.linear.node]));
  for (const node of inside) {
    for (const input of node.inputs) {
      const isOwn = inside.has(input as Call) || [query, key, value.linear].some((linear) => linear.node === input);
      const heads = input.type.shape.at(-3);
      if (!isOwn && heads !== undefined && heads !== 1) return `${node.name} has a term of its own for each head`;
    }
  }
  if (turned.type.shape[2] !== count || product.type.shape[1] !== count) return 'its heads are not those of its value';
  return { kind: 'heads', reader, writers: [query, key, value.linear], between: [...inside, joined], count };
}

/** The neurons that a linear reads; null where it reads no network of linears and elementwise ops. */
function neuronsOf(graph: Graph, reader: ConstantLinear): PruneGroup | null {
  const writers = new Map<Node, ConstantLinear>();
  const between = new Set<Call>();
  const stack: Node[] = [reader.x];
  const count = reader.weight.tensor.shape[1] as number;
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (writers.has(node) || between.has(node as Call)) continue;
    const writer = constantLinear(node);
    if (writer) {
      writers.set(node, writer);
      continue;
    }
    if (node.op === 'input' || node.op === 'constant' || opDef(node.op).tokens !== 'elementwise') return null;
    if (node.type.shape.at(-1) !== count || node.type.quant !== undefined) return null;
    between.add(node);
    // A single number is the same for every neuron.
    stack.push(...node.inputs.filter((input) => input.type.shape.some((dim) => dim !== 1)));
  }
  const isPlain = between.size === 0 && [...writers.keys()].every((node) => isLinearAlone(node));
  if (isPlain || writers.size === 0) return null;
  const inside: ReadonlySet<Node> = new Set<Node>([...between, ...writers.keys()]);
  for (const node of inside) {
    if (graph.isOutput(node)) return null;
    for (const user of node.users) if (user !== reader.node && !between.has(user as Call)) return null;
  }
  return { kind: 'neurons', reader, writers: [...writers.values()], between: [...between], count };
}

function isLinearAlone(node: Node): boolean {
  return node.op === 'linear' && node.attrs.activation === 'none';
}

/** The computed nodes that lie on paths from some of `ends` to a node, which is not among them. */
function nodesBetween(last: Node, ends: ReadonlySet<Node>): Set<Call> {
  const reaches = new Map<Node, boolean>();
  const visit = (node: Node): boolean => {
    const known = reaches.get(node);
    if (known !== undefined) return known;
    const isOn = ends.has(node) || node.inputs.map(visit).includes(true);
    reaches.set(node, isOn);
    return isOn;
  };
  visit(last);
  return new Set(
    [...reaches].flatMap(([node, isOn]) => (isOn && !ends.has(node) && node !== last ? [node as Call] : [])),
  );
}
