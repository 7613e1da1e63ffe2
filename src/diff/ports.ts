import type { Graph, Input, Node, Output } from '../ir/graph.ts';
import { type Dim, shapeText } from '../ir/shape.ts';
import type { TensorType } from '../ir/tensor.ts';
import { isSameValue } from './align.ts';
import type { InputTypeDifference, PortDifference, PortNamesDifference } from './difference.ts';
import type { Pairing } from './pairing.ts';
import type { ChangedPort, ChangedRead } from './regions.ts';

type PortChange = PortNamesDifference | InputTypeDifference;

interface Ports {
  readonly changes: readonly PortChange[];
  /** Ports that only one side has. */
  readonly ports: readonly ChangedPort[];
}

/** Compares the inputs of both graphs; `order` tells whether another order of the same names is a difference. */
export function compareInputs(
  pairing: Pairing,
  order: boolean,
): Ports & { readonly dims: readonly (readonly [Dim, Dim])[] } {
  const { a, b } = pairing;
  const changes: PortChange[] = [];
  const ports: ChangedPort[] = [];
  const pairs: [Input, Input][] = [];
  for (const input of a.graph.inputs) {
    const partner = pairing.partnerOfA(a.index.get(input) as number);
    if (partner === undefined) ports.push(port('a', 'input-removed', input.name, input));
    else pairs.push([input, b.values[partner] as Input]);
  }
  for (const input of b.graph.inputs) {
    const partner = pairing.partnerOfB(b.index.get(input) as number);
    if (partner === undefined) ports.push(port('b', 'input-added', input.name, input));
  }
  changes.push(...nameChanges('input', pairs), ...(order ? orderChange('input', pairs, a.graph, b.graph) : []));
  const dims: [Dim, Dim][] = [];
  for (const [from, to] of pairs) {
    from.type.shape.forEach((dim, i) => {
      const other = to.type.shape[i];
      if (other !== undefined && other !== dim) dims.push([dim, other]);
    });
    if (portType(from.type, to.type) === portType(to.type, from.type)) continue;
    changes.push({
      kind: 'structure',
      change: 'input-type',
      input: { a: from.name, b: to.name },
      from: portType(from.type, to.type),
      to: portType(to.type, from.type),
    });
  }
  return { changes, ports, dims };
}

/**
 * Compares the outputs; `reads` are those of one name that give other values, which a change before them may explain.
 */
export function compareOutputs(
  pairing: Pairing,
  order: boolean,
): Ports & {
  readonly reads: readonly ChangedRead[];
  /** Outputs that both sides have, a's first. */
  readonly pairs: readonly (readonly [Output, Output])[];
} {
  const { outputs: from } = pairing.a.graph;
  const { outputs: to } = pairing.b.graph;
  const givesSame = (x: Output) => (y: Output) => isSameValue(pairing, x.node, y.node);
  const left = new Set(to);
  const take = (fits: (output: Output) => boolean) => {
    const output = [...left].find(fits);
    if (output) left.delete(output);
    return output;
  };
  const pairs: [Output, Output][] = [];
  const pairUp = (rows: readonly Output[], partner: (output: Output) => Output | undefined) =>
    rows.filter((output) => {
      const other = partner(output);
      if (other) pairs.push([output, other]);
      return other === undefined;
    });
  const unsettled = pairUp(from, (x) => take((y) => y.name === x.name && givesSame(x)(y)));
  const renamed = pairUp(unsettled, (x) => take(givesSame(x)));
  const reads: ChangedRead[] = [];
  const removed = pairUp(renamed, (x) => {
    const other = take((y) => y.name === x.name);
    if (other) reads.push(outputRead(x, other));
    return other;
  });
  const changes: PortChange[] = [
    ...nameChanges('output', pairs),
    ...(order ? orderChange('output', pairs, pairing.a.graph, pairing.b.graph) : []),
  ];
  const ports = [
    ...removed.map(({ name, node }) => port('a', 'output-removed', name, node)),
    ...[...left].map(({ name, node }) => port('b', 'output-added', name, node)),
  ];
  return { changes, ports, reads, pairs };
}

function outputRead(from: Output, to: Output): ChangedRead {
  const node = { a: from.name, b: to.name };
  return { node, input: 'output', from: from.node, to: to.node, key: undefined };
}

function port(side: 'a' | 'b', change: PortDifference['change'], name: string, node: Node): ChangedPort {
  const type = `${node.type.dtype}${shapeText(node.type.shape)}`;
  return { side, node, difference: { kind: 'structure', change, name, type, nodes: [], readers: [] } };
}

/**
 * The part of an input's type that counts: of quantized ones only the shape, as they are compared like other values.
 */
function portType(type: TensorType, other: TensorType): string {
  const isQuantized = type.quant !== undefined || other.quant !== undefined;
  return `${isQuantized ? '' : type.dtype}${shapeText(type.shape)}`;
}

interface Named {
  readonly name: string;
}
type NamedPairs = readonly (readonly [Named, Named])[];

/** Changes of names: those that went round among the same ports are one, each other one is a change of its own. */
function nameChanges(what: 'input' | 'output', pairs: NamedPairs): PortNamesDifference[] {
  const { swapped, renamed } = splitNames(pairs);
  const changes = renamed.map(([from, to]) => portNames(`${what}-renamed`, [from], [to]));
  if (swapped.length === 0) return changes;
  const [from, to] = [swapped.map(([x]) => x), swapped.map(([, y]) => y)];
  return [...changes, portNames(`${what}s-swapped`, from, to)];
}

function splitNames(pairs: NamedPairs) {
  const differing = pairs.filter(([from, to]) => from.name !== to.name);
  const fromNames = new Set(differing.map(([from]) => from.name));
  const cycled = new Set(differing.map(([, to]) => to.name).filter((name) => fromNames.has(name)));
  const isSwapped = ([from, to]: readonly [Named, Named]) => cycled.has(from.name) && cycled.has(to.name);
  return { swapped: differing.filter(isSwapped), renamed: differing.filter((pair) => !isSwapped(pair)) };
}

/** The change, if any, in the order of the names that both sides have. */
function orderChange(what: 'input' | 'output', pairs: NamedPairs, a: Graph, b: Graph): PortNamesDifference[] {
  const from: readonly Named[] = a[`${what}s`];
  const to: readonly Named[] = b[`${what}s`];
  const newNames = new Map(splitNames(pairs).renamed.map(([x, y]) => [x.name, y.name]));
  const paired = new Set(pairs.map(([x]) => x));
  const places = from
    .filter((port) => paired.has(port))
    .map(({ name }) => to.findIndex((port) => port.name === (newNames.get(name) ?? name)))
    .filter((place) => place >= 0);
  const isAscending = places.every((place, i) => i === 0 || place > (places[i - 1] as number));
  return isAscending ? [] : [portNames(`${what}s-reordered`, from, to)];
}

function portNames(
  change: PortNamesDifference['change'],
  from: readonly Named[],
  to: readonly Named[],
): PortNamesDifference {
  return { kind: 'structure', change, from: from.map(({ name }) => name), to: to.map(({ name }) => name) };
}
