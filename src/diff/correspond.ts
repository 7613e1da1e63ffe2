import { type ClassPair, downClasses, upClasses } from './classes.ts';
import type { Contents } from './contents.ts';
import { Evidence, type LazyClasses } from './evidence.ts';
import { Pairing } from './pairing.ts';
import { type Allow, type Around, propagate, readsTheSame } from './propagate.ts';
import type { Side } from './side.ts';

/** Steps around a value in which to look for what is unlike all else: farther tells more, nearer bears more changes. */
const ROUNDS = [3, 2, 1] as const;

/** Most runs over what is left, each of which pairs more or is the last; models of one shape need one or two. */
const MAX_RUNS = 8;

/**
 * Pairs the values of two graphs. Where both have the same skeleton, its positions decide; the content of weights,
 * names and order decide between positions that are alike. Elsewhere the surest evidence comes first: the same weights,
 * the same expression, the same names, then what stands around pairs.
 */
export function correspond(a: Side, b: Side, contents: Contents): Pairing {
  const evidence = new Evidence(a, b, contents);
  const { ops, types, position, content, ownNames, constantNames, inputNames } = evidence;
  const matching = new Matching(new Pairing(a, b), evidence);
  const inPosition: Allow = (x, y) => evidence.haveSamePosition(x, y);
  matching.pairBy(inPosition, position, evidence.withPosition(content));
  matching.pairBy(inPosition, evidence.withPosition(constantNames));
  matching.pairBy(inPosition, evidence.withPosition(ownNames));
  // What a value is made of says more than what becomes of it, and names come between: readers wait for both.
  matching.pairBy(readsTheSame, content, evidence.expressions(downClasses));
  for (const names of [inputNames, constantNames, ownNames]) matching.pairByNames(names);
  matching.pairBy(readsTheSame, evidence.expressions(upClasses));
  matching.pairAroundPairs();
  matching.pairOutputs();
  matching.pairAlike(position());
  const { pairing } = matching;
  for (let run = 0, before = -1; run < MAX_RUNS && !pairing.isDone && pairing.count !== before; run++) {
    before = pairing.count;
    for (const labels of [types, ops]) {
      for (const rounds of ROUNDS) matching.pairBy(anywhere, () => evidence.neighbours(pairing, labels(), rounds));
    }
    matching.pairAlike(evidence.neighbours(pairing, types(), 1));
  }
  return pairing;
}

const anywhere: Allow = () => true;

/** A pairing that grows by one kind of evidence after another, each time by what stands around new pairs as well. */
class Matching {
  readonly pairing: Pairing;
  readonly #around: Around;

  constructor(pairing: Pairing, { ops, types, calls, ownNames, contents }: Evidence) {
    this.pairing = pairing;
    // Contents come late: they are hashed only where ops, attributes and shapes leave readers that are alike.
    this.#around = { tellers: [ops, types, calls, ownNames], contents };
  }

  /** Pairs what is the only one of its class, by each kind of classes in turn. */
  pairBy(allow: Allow, ...evidence: readonly LazyClasses[]): void {
    const pairs: [number, number][] = [];
    for (const classes of evidence) {
      if (this.pairing.isDone) return;
      for (const pair of this.pairing.pairUnique(classes())) pairs.push(pair);
    }
    propagate(this.pairing, pairs, this.#around, allow);
  }

  /** Pairs values by names of their own, unless pairs contradict: a layer that has gone may leave its names behind. */
  pairByNames(names: LazyClasses): void {
    const pairs = this.pairing.pairUnique(names(), (a, b) => this.pairing.mayReadTheSame(a, b));
    propagate(this.pairing, pairs, this.#around, readsTheSame);
  }

  pairAroundPairs(): void {
    if (!this.pairing.isDone) propagate(this.pairing, this.pairing.pairs(), this.#around);
  }

  /** Pairs outputs of one name, where their nodes do the same. */
  pairOutputs(): void {
    const { a, b } = this.pairing;
    for (const { name, node } of a.graph.outputs) {
      const other = b.graph.outputs.find((output) => output.name === name);
      const x = a.index.get(node);
      const y = other && b.index.get(other.node);
      if (x === undefined || y === undefined || node.op !== other?.node.op || !this.pairing.areFree(x, y)) continue;
      this.#pair(x, y);
    }
  }

  /** Pairs in order, one at a time, where both sides have as many values that nothing tells apart. */
  pairAlike(classes: ClassPair): void {
    for (const { a, b } of this.pairing.unpairedByClass(classes).values()) {
      if (a.length !== b.length) continue;
      let next = 0;
      for (const x of a) {
        if (this.pairing.partnerOfA(x) !== undefined) continue;
        while (this.pairing.partnerOfB(b[next] as number) !== undefined) next++;
        const y = b[next] as number;
        if (y === undefined) break;
        this.#pair(x, y);
      }
    }
  }

  #pair(a: number, b: number): void {
    this.pairing.pair(a, b);
    propagate(this.pairing, [[a, b]], this.#around);
  }
}
