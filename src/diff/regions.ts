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
  /** Key of reads that belong together, as those of a concat that has one input more. */
  readonly key: string | undefined;
}

/** An input or output that only one side has. */
export interface ChangedPort {
  readonly side: 'a' | 'b';
  readonly node: Node;
  readonly difference: PortDifference;
}

/**
 * Describes unpaired values and changed reads, each change once: values that hang together are one change with what
 * reads them; other reads are one change where they went from one value to the same other.
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

/** Groups of unpaired values, changed reads and changed ports that hang together. */
function joinChanges(pairing: Pairing, reads: readonly ChangedRead[], ports: readonly ChangedPort[]): Group[] {
  const members = new Members(pairing, reads.length, ports.length);
  for (const side of SIDES) {
    for (const value of pairing[side].values) {
      const member = members.value(side, value);
      for (const input of value.inputs) members.join(member, members.value(side, input));
    }
  }
  const alike = new Map<string, number>();
  for (const [i, { from, to, key }] of reads.entries()) {
    const member = members.read(i);
    members.join(member, members.value('a', from));
    members.join(member, members.value('b', to));
    for (const shared of [key, `${from?.name} -> ${to?.name}`]) {
      if (shared === undefined) continue;
      members.join(member, alike.get(shared));
      alike.set(shared, member);
    }
  }
  for (const [i, { side, node }] of ports.entries()) members.join(members.port(i), members.value(side, node));
  const groups = new Map<number, Group>();
  const groupOf = (member: number) => {
    const root = members.root(member);
    const group = groups.get(root) ?? { a: [], b: [], reads: [], ports: [] };
    groups.set(root, group);
    return group;
  };
  for (const side of SIDES) {
    for (const value of pairing[side].values) {
      const member = members.value(side, value);
      // Inputs are ports.
      if (member !== undefined) groupOf(member)[side].push(...(value.op === 'input' ? [] : [value]));
    }
  }
  for (const [i, read] of reads.entries()) groupOf(members.read(i)).reads.push(read);
  for (const [i, port] of ports.entries()) groupOf(members.port(i)).ports.push(port);
  return [...groups.values()];
}

const SIDES = ['a', 'b'] as const;

/** Numbers of all that a change may consist of, in disjoint sets: values of a, values of b, reads, ports. */
class Members {
  readonly #pairing: Pairing;
  readonly #firstB: number;
  readonly #firstRead: number;
  readonly #firstPort: number;
  readonly #parents: Int32Array;

  constructor(pairing: Pairing, reads: number, ports: number) {
    this.#pairing = pairing;
    this.#firstB = pairing.a.values.length;
    this.#firstRead = this.#firstB + pairing.b.values.length;
    this.#firstPort = this.#firstRead + reads;
    this.#parents = Int32Array.from({ length: this.#firstPort + ports }, (_, i) => i);
  }

  /** The member that stands for a value; undefined for one that has a partner, and for constants. */
  value(side: 'a' | 'b', node: Node | undefined): number | undefined {
    const i = node && this.#pairing[side].index.get(node);
    if (i === undefined) return undefined;
    const partner = side === 'a' ? this.#pairing.partnerOfA(i) : this.#pairing.partnerOfB(i);
    if (partner !== undefined) return undefined;
    return side === 'a' ? i : this.#firstB + i;
  }

  read(i: number): number {
    return this.#firstRead + i;
  }

  port(i: number): number {
    return this.#firstPort + i;
  }

  /** The member that stands for the set of another. */
  root(member: number): number {
    let root = member;
    while (this.#parents[root] !== root) {
      // Halving the path keeps chains of thousands short.
      this.#parents[root] = this.#parents[this.#parents[root] as number] as number;
      root = this.#parents[root] as number;
    }
    return root;
  }

  join(a: number | undefined, b: number | undefined): void {
    if (a !== undefined && b !== undefined) this.#parents[this.root(a)] = this.root(b);
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
