import { type Classes, type ClassPair, NO_CLASS } from './classes.ts';
import type { Side } from './side.ts';

const UNPAIRED = -1;

/** The values of two graphs that are the same; grows until matching is done. */
export class Pairing {
  readonly a: Side;
  readonly b: Side;
  readonly #toB: Int32Array;
  readonly #toA: Int32Array;
  #left: number;

  constructor(a: Side, b: Side) {
    this.a = a;
    this.b = b;
    this.#toB = new Int32Array(a.values.length).fill(UNPAIRED);
    this.#toA = new Int32Array(b.values.length).fill(UNPAIRED);
    this.#left = Math.min(a.values.length, b.values.length);
  }

  /** True where one side has nothing left to pair. */
  get isDone(): boolean {
    return this.#left === 0;
  }

  /** Number of pairs. */
  get count(): number {
    return Math.min(this.a.values.length, this.b.values.length) - this.#left;
  }

  /** All pairs, a's value first. */
  pairs(): [number, number][] {
    const pairs: [number, number][] = [];
    for (const [a, b] of this.#toB.entries()) if (b !== UNPAIRED) pairs.push([a, b]);
    return pairs;
  }

  pair(a: number, b: number): void {
    this.#toB[a] = b;
    this.#toA[b] = a;
    this.#left--;
  }

  /** The partner in b of a's value, or undefined. */
  partnerOfA(a: number): number | undefined {
    const b = this.#toB[a];
    return b === undefined || b === UNPAIRED ? undefined : b;
  }

  partnerOfB(b: number): number | undefined {
    const a = this.#toA[b];
    return a === undefined || a === UNPAIRED ? undefined : a;
  }

  arePaired(a: number, b: number): boolean {
    return a >= 0 && this.#toB[a] === b;
  }

  /** True while neither has a partner. */
  areFree(a: number, b: number): boolean {
    return this.#toB[a] === UNPAIRED && this.#toA[b] === UNPAIRED;
  }

  /** Unpaired values by class: what a and b have of each, in order. */
  unpairedByClass(classes: ClassPair): Map<number, { readonly a: number[]; readonly b: number[] }> {
    const buckets = new Map<number, { readonly a: number[]; readonly b: number[] }>();
    for (const side of ['a', 'b'] as const) {
      const partners = side === 'a' ? this.#toB : this.#toA;
      for (const [i, label] of classes[side].entries()) {
        if (partners[i] !== UNPAIRED || label === NO_CLASS) continue;
        const bucket = buckets.get(label) ?? { a: [], b: [] };
        buckets.set(label, bucket);
        bucket[side].push(i);
      }
    }
    return buckets;
  }

  /** Pairs what is the only one of its class on both sides and `fits`; returns the pairs. */
  pairUnique(classes: ClassPair, fits: (a: number, b: number) => boolean = () => true): [number, number][] {
    const onlyInA = onlyOnes(classes.a, this.#toB);
    const onlyInB = onlyOnes(classes.b, this.#toA);
    const pairs: [number, number][] = [];
    for (const [label, a] of onlyInA.entries()) {
      const b = onlyInB[label];
      if (a >= 0 && b !== undefined && b >= 0 && fits(a, b)) pairs.push([a, b]);
    }
    for (const [a, b] of pairs) this.pair(a, b);
    return pairs;
  }

  /** False where one of them reads what is paired already, but not with what the other reads. */
  mayReadTheSame(a: number, b: number): boolean {
    const readA = this.a.inputs[a] as readonly number[];
    const readB = this.b.inputs[b] as readonly number[];
    const isRead = (value: number | undefined, read: readonly number[], i: number) =>
      value === undefined || (this.a.unordered[a] ? read.includes(value) : read[i] === value);
    return (
      readA.every((x, i) => isRead(this.partnerOfA(x), readB, i)) &&
      readB.every((y, i) => isRead(this.partnerOfB(y), readA, i))
    );
  }

  /** A label for each value of a side by which paired values, and only they, are equal; the others keep theirs. */
  anchored(labels: Classes, side: 'a' | 'b', classOfPair: (a: number) => number): Classes {
    return labels.map((label, i) => {
      const a = side === 'a' ? (this.#toB[i] === UNPAIRED ? UNPAIRED : i) : (this.#toA[i] as number);
      return a === UNPAIRED ? label : classOfPair(a);
    });
  }
}

/** The only unpaired value of each class; below 0 where there is none or more than one. */
function onlyOnes(classes: Classes, partners: Int32Array): Int32Array {
  const [NONE, MANY] = [-1, -2];
  let most = NO_CLASS;
  for (const label of classes) if (label > most) most = label;
  const only = new Int32Array(most + 1).fill(NONE);
  for (let i = 0; i < classes.length; i++) {
    const label = classes[i] as number;
    if (label !== NO_CLASS && partners[i] === UNPAIRED) only[label] = only[label] === NONE ? i : MANY;
  }
  return only;
}
