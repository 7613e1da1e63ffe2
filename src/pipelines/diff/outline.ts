import type { Difference, Names, Reader } from '../../diff/difference.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { type GraphOutline, outlineOf } from '../../opened/outline.ts';

/** Two compared graphs as plain data, with what is the same in both and where they differ. */
export interface DiffOutline {
  readonly a: GraphOutline;
  readonly b: GraphOutline;
  /** Index of the partner in a of each node of b; null for what only b has. */
  readonly partners: readonly (number | null)[];
  /** Nodes that each difference is about. */
  readonly places: readonly DifferencePlaces[];
}

/** Nodes that a difference is about, as indices in either graph. */
export interface DifferencePlaces {
  readonly a: readonly number[];
  readonly b: readonly number[];
}

/**
 * Describes two compared graphs as plain data, with how the values of differing weights are distributed. `differences` are between `a` and `b`; `partners` maps nodes of b to
 * nodes of a.
 */
export function outlineBoth(
  a: Graph,
  b: Graph,
  partners: ReadonlyMap<Node, Node>,
  differences: readonly Difference[],
): DiffOutline {
  const outlines = {
    a: outlineOf(a, { values: changedWeights(differences, 'a') }),
    b: outlineOf(b, { values: changedWeights(differences, 'b') }),
  };
  const finders = { a: finderOf(outlines.a), b: finderOf(outlines.b) };
  const partnerNames = new Map([...partners].map(([ofB, ofA]) => [ofB.name, ofA.name]));
  return {
    ...outlines,
    partners: outlines.b.nodes.map(({ name }) => {
      const partner = partnerNames.get(name);
      return partner === undefined ? null : (finders.a.node(partner) ?? null);
    }),
    places: differences.map((difference) => {
      const subjects = subjectsOf(difference);
      return { a: find(finders.a, subjects.a), b: find(finders.b, subjects.b) };
    }),
  };
}

/** Names in one graph of weights that have other values or another storage in the other. */
function changedWeights(differences: readonly Difference[], side: 'a' | 'b'): Set<string> {
  const names = differences.flatMap((difference) => {
    if (difference.kind === 'weights' && 'tensor' in difference) return [difference.tensor[side]];
    return difference.kind === 'quant' && difference.of === 'weight' ? [difference.value[side]] : [];
  });
  return new Set(names);
}

/** Names in one graph that a difference is about. */
interface Subjects {
  readonly nodes: readonly string[];
  /** Constants, which stand for the nodes that read them. */
  readonly tensors: readonly string[];
  readonly outputs: readonly string[];
}

/** Looks up nodes of one outline, as indices. */
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

function find(finder: Finder, { nodes, tensors, outputs }: Subjects): number[] {
  const indices = [
    ...nodes.map((name) => finder.node(name)),
    ...tensors.flatMap((name) => finder.readersOf(name)),
    ...outputs.map((name) => finder.output(name)),
  ];
  return [...new Set(indices.filter((place) => place !== undefined))];
}

function subjects(nodes: readonly string[] = [], tensors: readonly string[] = [], outputs: readonly string[] = []) {
  return { nodes, tensors, outputs };
}

function ofNames(kind: keyof Subjects, { a, b }: Names): { readonly a: Subjects; readonly b: Subjects } {
  const none = subjects();
  return { a: { ...none, [kind]: [a] }, b: { ...none, [kind]: [b] } };
}

function subjectsOf(difference: Difference): { readonly a: Subjects; readonly b: Subjects } {
  switch (difference.change) {
    case 'added':
    case 'removed':
    case 'replaced': {
      // The readers of a replaced node stay as they were: only what they read is new.
      const readers = subjectsOfReaders(difference.change === 'replaced' ? [] : difference.readers);
      return withNodes(readers, namesIn(difference.a), namesIn(difference.b));
    }
    case 'rewired':
      return subjectsOfReaders(difference.readers);
    case 'operands-swapped':
    case 'attributes':
      return ofNames('nodes', difference.node);
    case 'input-added':
    case 'input-removed':
    case 'output-added':
    case 'output-removed': {
      const names = [...namesIn(difference.nodes), difference.name];
      const isAdded = difference.change.endsWith('added');
      const readers = withNodes(subjectsOfReaders(difference.readers), isAdded ? [] : names, isAdded ? names : []);
      return difference.change.startsWith('input') ? readers : withOutput(readers, difference.name);
    }
    case 'input-type':
      return ofNames('nodes', difference.input);
    case 'moved':
    case 'exchanged':
      return {
        a: subjects(
          [],
          difference.tensors.map(({ tensor }) => tensor),
        ),
        b: subjects(),
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
      return { a: subjects(), b: subjects() };
    default:
      if (difference.kind === 'weights') return ofNames('tensors', difference.tensor);
      return difference.change.startsWith('input')
        ? { a: subjects(difference.from), b: subjects(difference.to) }
        : { a: subjects([], [], difference.from), b: subjects([], [], difference.to) };
  }
}

function namesIn(refs: readonly { readonly name: string }[]): string[] {
  return refs.map(({ name }) => name);
}

/** The subjects that readers are: nodes, or outputs where the input of the reader is called `output`. */
function subjectsOfReaders(readers: readonly Reader[]): { readonly a: Subjects; readonly b: Subjects } {
  const of = (side: 'a' | 'b') => {
    const named = (isOutput: boolean) =>
      readers.filter(({ input }) => (input === 'output') === isOutput).map(({ node }) => node[side]);
    return subjects(named(false), [], named(true));
  };
  return { a: of('a'), b: of('b') };
}

function withNodes(
  { a, b }: { readonly a: Subjects; readonly b: Subjects },
  inA: readonly string[],
  inB: readonly string[],
): { readonly a: Subjects; readonly b: Subjects } {
  return { a: { ...a, nodes: [...a.nodes, ...inA] }, b: { ...b, nodes: [...b.nodes, ...inB] } };
}

function withOutput({ a, b }: { readonly a: Subjects; readonly b: Subjects }, name: string) {
  return { a: { ...a, outputs: [...a.outputs, name] }, b: { ...b, outputs: [...b.outputs, name] } };
}
