import { type Classes, NO_CLASS } from './classes.ts';
import type { Side } from './side.ts';

const UNPAIRED = -1;

/** Which values of the two graphs are the same; grows until matching is done. */
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

  /** How many pairs there are. */
  get count(): number {
    return Math.min(this.a.values.length, this.b.values.length) - this.#left;
  }

  /** All pairs there are. */
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

  /** The partner in b, or undefined. */
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
  unpairedByClass(classesA: Classes, classesB: Classes): Map<number, { readonly a: number[]; readonly b: number[] }> {
    const buckets = new Map<number, { readonly a: number[]; readonly b: number[] }>();
    const collect = (classes: Classes, partners: Int32Array, side: 'a' | 'b') => {
      for (let i = 0; i < classes.length; i++) {
        const each = classes[i] as number;
        if (partners[i] !== UNPAIRED || each === NO_CLASS) continue;
        const bucket = buckets.get(each) ?? { a: [], b: [] };
        if (bucket.a.length + bucket.b.length === 0) buckets.set(each, bucket);
        bucket[side].push(i);
      }
    };
    collect(classesA, this.#toB, 'a');
    collect(classesB, this.#toA, 'b');
    return buckets;
  }

  /** Pairs what is the only one of its class on both sides and `fits`; returns the pairs. */
  pairUnique(
    classesA: Classes,
    classesB: Classes,
    fits: (a: number, b: number) => boolean = () => true,
  ): [number, number][] {
    const onlyInA = onlyOnes(classesA, this.#toB);
    const onlyInB = onlyOnes(classesB, this.#toA);
    const made: [number, number][] = [];
    for (const [each, a] of onlyInA.entries()) {
      const b = onlyInB[each];
      if (a >= 0 && b !== undefined && b >= 0 && fits(a, b)) made.push([a, b]);
    }
    for (const [a, b] of made) this.pair(a, b);
    return made;
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

/** By class: the only unpaired value that has it; below 0 where there is none or more than one. */
function onlyOnes(classes: Classes, partners: Int32Array): Int32Array {
  const [NONE, MANY] = [-1, -2];
  let most = NO_CLASS;
  for (const each of classes) if (each > most) most = each;
  const only = new Int32Array(most + 1).fill(NONE);
  for (let i = 0; i < classes.length; i++) {
    const each = classes[i] as number;
    if (each !== NO_CLASS && partners[i] === UNPAIRED) only[each] = only[each] === NONE ? i : MANY;
  }
  return only;
}
