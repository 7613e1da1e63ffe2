import type { Node } from '../ir/graph.ts';
import type { Names, NodeRef, NodesDifference, PortDifference, Reader, RewiredDifference } from './difference.ts';
import type { Pairing } from './pairing.ts';
import { opName, type Value } from './side.ts';

/** A place where the two sides read different values. */
export interface ChangedRead {
  readonly node: Names;
  readonly input: string;
  readonly from: Node | undefined;
  readonly to: Node | undefined;
  /** Reads of one key belong together, as those of a concat that has one input more. */
  readonly key: string | undefined;
}

/** An input or output that only one side has. */
export interface ChangedPort {
  readonly side: 'a' | 'b';
  readonly node: Node;
  readonly difference: PortDifference;
}

/**
 * Unpaired values and changed reads, each change once: values that hang together are one change with what reads them;
 * other reads are one change where they went from one value to the same other.
 */
export function describeChanges(
  pairing: Pairing,
  reads: readonly ChangedRead[],
  ports: readonly ChangedPort[],
): Change[] {
  return joinChanges(pairing, reads, ports).flatMap(describeGroup);
}

type Change = NodesDifference | RewiredDifference | PortDifference;

interface Group {
  readonly a: Value[];
  readonly b: Value[];
  readonly reads: ChangedRead[];
  readonly ports: ChangedPort[];
}

function joinChanges(pairing: Pairing, reads: readonly ChangedRead[], ports: readonly ChangedPort[]): Group[] {
  const { a, b } = pairing;
  const firstB = a.values.length;
  const firstRead = firstB + b.values.length;
  const firstPort = firstRead + reads.length;
  const sets = new DisjointSets(firstPort + ports.length);
  /** The member that stands for an unpaired value. */
  const memberOf = (side: 'a' | 'b', node: Node | undefined): number | undefined => {
    const i = node && pairing[side].index.get(node);
    if (i === undefined) return undefined;
    const partner = side === 'a' ? pairing.partnerOfA(i) : pairing.partnerOfB(i);
    if (partner !== undefined) return undefined;
    return side === 'a' ? i : firstB + i;
  };
  const join = (member: number | undefined, other: number | undefined) => {
    if (member !== undefined && other !== undefined) sets.join(member, other);
  };
  for (const side of ['a', 'b'] as const) {
    for (const value of pairing[side].values) {
      const member = memberOf(side, value);
      for (const input of value.inputs) join(member, memberOf(side, input));
    }
  }
  const alike = new Map<string, number>();
  for (const [i, { from, to, key }] of reads.entries()) {
    join(firstRead + i, memberOf('a', from));
    join(firstRead + i, memberOf('b', to));
    for (const shared of [key, `${from?.name} -> ${to?.name}`]) {
      if (shared === undefined) continue;
      join(firstRead + i, alike.get(shared));
      alike.set(shared, firstRead + i);
    }
  }
  for (const [i, { side, node }] of ports.entries()) join(firstPort + i, memberOf(side, node));
  const groups = new Map<number, Group>();
  const groupOf = (member: number) => {
    const root = sets.root(member);
    const group = groups.get(root) ?? { a: [], b: [], reads: [], ports: [] };
    groups.set(root, group);
    return group;
  };
  for (const side of ['a', 'b'] as const) {
    for (const value of pairing[side].values) {
      const member = memberOf(side, value);
      // Inputs are ports.
      if (member !== undefined) groupOf(member)[side].push(...(value.op === 'input' ? [] : [value]));
    }
  }
  for (const [i, read] of reads.entries()) groupOf(firstRead + i).reads.push(read);
  for (const [i, port] of ports.entries()) groupOf(firstPort + i).ports.push(port);
  return [...groups.values()];
}

class DisjointSets {
  readonly #parents: Int32Array;

  constructor(size: number) {
    this.#parents = Int32Array.from({ length: size }, (_, i) => i);
  }

  root(member: number): number {
    let root = member;
    while (this.#parents[root] !== root) {
      // Halving the path keeps chains of thousands short.
      this.#parents[root] = this.#parents[this.#parents[root] as number] as number;
      root = this.#parents[root] as number;
    }
    return root;
  }

  join(a: number, b: number): void {
    this.#parents[this.root(a)] = this.root(b);
  }
}

function describeGroup({ a, b, reads, ports }: Group): Change[] {
  if (ports.length > 0) {
    // Nodes that came or went with an input or output are part of that change.
    const [nodes, others] = ports[0]?.side === 'a' ? [a, b] : [b, a];
    const changes = ports.map(({ difference }) => difference);
    const [first, ...rest] = changes;
    if (first && others.length === 0) {
      return [{ ...first, nodes: nodes.map(nodeRef), readers: reads.map(readerOf) }, ...rest];
    }
    return [...changes, ...describeGroup({ a, b, reads, ports: [] })];
  }
  if (a.length + b.length > 0) return [nodesChange(a, b, reads)];
  return reads.length > 0 ? [{ kind: 'structure', change: 'rewired', readers: reads.map(readerOf) }] : [];
}

function nodesChange(a: readonly Value[], b: readonly Value[], reads: readonly ChangedRead[]): NodesDifference {
  const change = b.length === 0 ? 'removed' : a.length === 0 ? 'added' : 'replaced';
  return { kind: 'structure', change, a: a.map(nodeRef), b: b.map(nodeRef), readers: reads.map(readerOf) };
}

function nodeRef(value: Value): NodeRef {
  return { name: value.name, op: opName(value) };
}

function readerOf({ node, input, from, to }: ChangedRead): Reader {
  return { node, input, from: from?.name ?? null, to: to?.name ?? null };
}
