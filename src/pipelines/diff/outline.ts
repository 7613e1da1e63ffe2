import type { Difference, Names, Reader } from '../../diff/difference.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { type GraphOutline, outlineOf } from '../../opened/outline.ts';

/** Two compared graphs as plain data, with what is the same in both and where they differ. */
export interface DiffOutline {
  readonly a: GraphOutline;
  readonly b: GraphOutline;
  /** By node of b: the place of its partner in a; null for what only b has. */
  readonly partners: readonly (number | null)[];
  /** By difference: the nodes that it is about, as places in either graph. */
  readonly places: readonly DifferencePlaces[];
}

export interface DifferencePlaces {
  readonly a: readonly number[];
  readonly b: readonly number[];
}

/** `differences` are between `a` and `b`; `partners` gives a's node for one of b's. */
export function outlineBoth(
  a: Graph,
  b: Graph,
  partners: ReadonlyMap<Node, Node>,
  differences: readonly Difference[],
): DiffOutline {
  const outlines = { a: outlineOf(a), b: outlineOf(b) };
  const finders = { a: finderOf(outlines.a), b: finderOf(outlines.b) };
  const partnerNames = new Map([...partners].map(([ofB, ofA]) => [ofB.name, ofA.name]));
  return {
    ...outlines,
    partners: outlines.b.nodes.map(({ name }) => {
      const partner = partnerNames.get(name);
      return partner === undefined ? null : (finders.a.node(partner) ?? null);
    }),
    places: differences.map((difference) => {
      const things = thingsOf(difference);
      return { a: find(finders.a, things.a), b: find(finders.b, things.b) };
    }),
  };
}

/** What a difference names in one graph. */
interface Things {
  readonly nodes: readonly string[];
  /** Constants, meaning those who read them. */
  readonly tensors: readonly string[];
  readonly outputs: readonly string[];
}

interface Finder {
  node(name: string): number | undefined;
  readersOf(tensor: string): readonly number[];
  output(name: string): number | undefined;
}

function finderOf({ nodes, weights, outputs }: GraphOutline): Finder {
  const byName = new Map(nodes.map(({ name }, place) => [name, place]));
  const readers = new Map<string, number[]>(weights.map(({ name }) => [name, []]));
  for (const [place, node] of nodes.entries()) {
    for (const weight of node.weights) readers.get(weights[weight]?.name ?? '')?.push(place);
  }
  const byOutput = new Map(outputs.map(({ name, node }) => [name, node]));
  return {
    node: (name) => byName.get(name),
    readersOf: (tensor) => readers.get(tensor) ?? [],
    output: (name) => byOutput.get(name) ?? undefined,
  };
}

function find(finder: Finder, { nodes, tensors, outputs }: Things): number[] {
  const found = [
    ...nodes.map((name) => finder.node(name)),
    ...tensors.flatMap((name) => finder.readersOf(name)),
    ...outputs.map((name) => finder.output(name)),
  ];
  return [...new Set(found.filter((place) => place !== undefined))];
}

function things(nodes: readonly string[] = [], tensors: readonly string[] = [], outputs: readonly string[] = []) {
  return { nodes, tensors, outputs };
}

function ofNames(kind: keyof Things, { a, b }: Names): { readonly a: Things; readonly b: Things } {
  const none = things();
  return { a: { ...none, [kind]: [a] }, b: { ...none, [kind]: [b] } };
}

function thingsOf(difference: Difference): { readonly a: Things; readonly b: Things } {
  switch (difference.change) {
    case 'added':
    case 'removed':
    case 'replaced': {
      // Those who read what was replaced are as they were: what is new is in front of them.
      const readers = ofReaders(difference.change === 'replaced' ? [] : difference.readers);
      return withNodes(readers, namesIn(difference.a), namesIn(difference.b));
    }
    case 'rewired':
      return ofReaders(difference.readers);
    case 'operands-swapped':
    case 'attributes':
      return ofNames('nodes', difference.node);
    case 'input-added':
    case 'input-removed':
    case 'output-added':
    case 'output-removed': {
      const names = [...namesIn(difference.nodes), difference.name];
      const isAdded = difference.change.endsWith('added');
      const readers = withNodes(ofReaders(difference.readers), isAdded ? [] : names, isAdded ? names : []);
      return difference.change.startsWith('input') ? readers : withOutput(readers, difference.name);
    }
    case 'input-type':
      return ofNames('nodes', difference.input);
    case 'moved':
    case 'exchanged':
      return {
        a: things(
          [],
          difference.tensors.map(({ tensor }) => tensor),
        ),
        b: things(),
      };
    case 'scheme':
    case 'granularity':
    case 'storage':
    case 'scales':
    case 'zero-points':
      return ofNames(difference.of === 'weight' ? 'tensors' : 'nodes', difference.value);
    case 'output':
      return ofNames('outputs', difference.output);
    case 'metadata':
    case 'size':
      return { a: things(), b: things() };
    default:
      if (difference.kind === 'weights') return ofNames('tensors', difference.tensor);
      return difference.change.startsWith('input')
        ? { a: things(difference.from), b: things(difference.to) }
        : { a: things([], [], difference.from), b: things([], [], difference.to) };
  }
}

function namesIn(refs: readonly { readonly name: string }[]): string[] {
  return refs.map(({ name }) => name);
}

/** A reader is a node, or an output where its input is called so. */
function ofReaders(readers: readonly Reader[]): { readonly a: Things; readonly b: Things } {
  const of = (side: 'a' | 'b') => {
    const named = (wanted: boolean) =>
      readers.filter(({ input }) => (input === 'output') === wanted).map(({ node }) => node[side]);
    return things(named(false), [], named(true));
  };
  return { a: of('a'), b: of('b') };
}

function withNodes(
  { a, b }: { readonly a: Things; readonly b: Things },
  inA: readonly string[],
  inB: readonly string[],
): { readonly a: Things; readonly b: Things } {
  return { a: { ...a, nodes: [...a.nodes, ...inA] }, b: { ...b, nodes: [...b.nodes, ...inB] } };
}

function withOutput({ a, b }: { readonly a: Things; readonly b: Things }, name: string) {
  return { a: { ...a, outputs: [...a.outputs, name] }, b: { ...b, outputs: [...b.outputs, name] } };
}
