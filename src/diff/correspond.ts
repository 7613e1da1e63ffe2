import type { Node } from '../ir/graph.ts';
import { shapeText, sizeOf } from '../ir/shape.ts';
import { type Classes, classesOf, combined, downClasses, Interner, neighbourhoods, upClasses } from './classes.ts';
import type { Contents } from './contents.ts';
import { findGivenNames } from './names.ts';
import { Pairing } from './pairing.ts';
import { type Allow, type Around, propagate, readsTheSame } from './propagate.ts';
import { attrsOf, constantsOf, opName, type Side, type Value } from './side.ts';

/** Constants with fewer elements than this, all together, do not say which call reads them. */
const MIN_TELLING_ELEMENTS = 4;

/** How far around a value to look for what is unlike everywhere else: farther tells more, nearer bears more changes. */
const ROUNDS = [3, 2, 1] as const;

/** Each run pairs more, or is the last; models of one shape need one or two. */
const MAX_RUNS = 8;

interface ClassPair {
  readonly a: Classes;
  readonly b: Classes;
}

/**
 * Pairs the values of two graphs. Where both have the same skeleton, its positions decide; the content of weights, names
 * and order decide between positions that are alike. Elsewhere the surest evidence comes first: the same weights, the
 * same expression, the same names, then what stands around pairs.
 */
export function correspond(a: Side, b: Side, contents: Contents): Pairing {
  const pairing = new Pairing(a, b);
  const evidence = gatherEvidence(a, b, contents);
  const { ops, types, position, content, around } = evidence;
  const pairBy = (allow: Allow, ...classes: readonly (() => ClassPair)[]) => {
    const made: [number, number][] = [];
    for (const each of classes) {
      if (pairing.isDone) return;
      const found = each();
      for (const pair of pairing.pairUnique(found.a, found.b)) made.push(pair);
    }
    propagate(pairing, made, around, allow);
  };
  const inPosition: Allow = (x, y) => position().a[x] === position().b[y];
  const anywhere: Allow = () => true;
  pairBy(inPosition, position, evidence.at(content));
  pairBy(inPosition, evidence.at(evidence.constantNames));
  pairBy(inPosition, evidence.at(evidence.ownNames));
  // What a value is made of says more than what becomes of it, and names come between: readers wait for both.
  pairBy(readsTheSame, content, evidence.sameAlong(downClasses));
  for (const names of [evidence.inputNames, evidence.constantNames, evidence.ownNames]) {
    // After a layer has gone, names may be those that the next one had.
    const made = pairing.pairUnique(names().a, names().b, (x, y) => pairing.mayReadTheSame(x, y));
    propagate(pairing, made, around, readsTheSame);
  }
  pairBy(readsTheSame, evidence.sameAlong(upClasses));
  if (!pairing.isDone) propagate(pairing, pairing.pairs(), around);
  pairOutputs(pairing, around);
  pairAlike(pairing, position(), around);
  for (let run = 0, before = -1; run < MAX_RUNS && !pairing.isDone && pairing.count !== before; run++) {
    before = pairing.count;
    for (const labels of [types, ops]) {
      for (const rounds of ROUNDS) pairBy(anywhere, () => evidence.neighbours(pairing, labels(), rounds));
    }
    pairAlike(pairing, evidence.neighbours(pairing, types(), 1), around);
  }
  return pairing;
}

/** What can be known of each value, worked out when it is asked for. */
function gatherEvidence(a: Side, b: Side, contents: Contents) {
  // Each kind of evidence has an interner of its own, whose many texts go when it is done.
  const ofSides = (make: (side: Side, interner: Interner, of: 'a' | 'b') => Classes) =>
    once((): ClassPair => {
      const interner = new Interner();
      return { a: make(a, interner, 'a'), b: make(b, interner, 'b') };
    });
  const describe = (text: (value: Value) => string | null) =>
    ofSides((side, interner) => classesOf(side, interner, text));
  const along = (direction: typeof downClasses, labels: () => ClassPair) =>
    ofSides((side, interner, of) => direction(side, interner, labels()[of]));
  const both = (first: () => ClassPair, second: () => ClassPair) =>
    ofSides((_, interner, of) => combined(interner, first()[of], second()[of]));

  const isGiven = givenNames(a, b);
  const contentText = (value: Value) => constantsOf(value).map((constant) => contents.key(constant));
  const ops = describe(opName);
  const types = describe((value) => `${opName(value)} ${attrsText(value)} ${shapesText(value)}`);
  const same = describe((value) => `${opName(value)} ${attrsText(value)} ${contentText(value)}`);
  const ownNames = describe((value) => (isGiven(value.name) ? `${opName(value)} ${value.name}` : null));
  const position = both(along(downClasses, ops), both(ops, along(upClasses, ops)));
  return {
    ops,
    types,
    position,
    ownNames,
    constantNames: describe((value) => {
      const names = constantsOf(value).map(({ name }) => name);
      return names.length > 0 && names.every(isGiven) ? `${opName(value)} ${names}` : null;
    }),
    inputNames: describe((value) => (value.op === 'input' ? value.name : null)),
    content: describe((value) => (isTelling(value) ? `${opName(value)} ${contentText(value)}` : null)),
    around: { tellers: lazily([ops, types, same, ownNames]), contents },
    /** Within a position. */
    at: (classes: () => ClassPair) => both(position, classes),
    /** By whole expressions, attributes and contents included. */
    sameAlong: (direction: typeof downClasses) => both(same, along(direction, same)),
    neighbours: (pairing: Pairing, labels: ClassPair, rounds: number) =>
      ofSides((side, interner, of) => {
        const anchored = pairing.anchored(
          labels[of].map((label) => interner.number(`label ${label}`)),
          of,
          (value) => interner.number(`pair ${value}`),
        );
        return neighbourhoods(side, interner, anchored, rounds);
      })(),
  };
}

function once<T>(compute: () => T): () => T {
  let value: T | undefined;
  return () => {
    value ??= compute();
    return value;
  };
}

/** Contents are hashed only where ops, attributes and shapes leave readers that are alike. */
function lazily(classes: readonly (() => ClassPair)[]): Iterable<ClassPair> {
  return {
    *[Symbol.iterator]() {
      for (const each of classes) yield each();
    },
  };
}

function attrsText(value: Value): string {
  return JSON.stringify(attrsOf(value));
}

function shapesText(value: Value): string {
  return constantsOf(value)
    .map(({ tensor }) => shapeText(tensor.shape))
    .join(' ');
}

function isTelling(value: Value): boolean {
  let elements = 0;
  for (const { tensor } of constantsOf(value)) elements += sizeOf(tensor.shape);
  return elements >= MIN_TELLING_ELEMENTS;
}

function givenNames(a: Side, b: Side): (name: string) => boolean {
  const isGivenIn = [a, b].map(({ graph }) => findGivenNames(graph.nodes().map(({ name }: Node) => name)));
  return (name) => isGivenIn.every((isGiven) => isGiven(name));
}

/** Outputs of one name, where their nodes do the same. */
function pairOutputs(pairing: Pairing, around: Around): void {
  const { a, b } = pairing;
  for (const { name, node } of a.graph.outputs) {
    const other = b.graph.outputs.find((output) => output.name === name);
    const x = a.index.get(node);
    const y = other && b.index.get(other.node);
    if (x === undefined || y === undefined || node.op !== other?.node.op || !pairing.areFree(x, y)) continue;
    pairing.pair(x, y);
    propagate(pairing, [[x, y]], around);
  }
}

/** Where both sides have as many values that nothing tells apart, they are paired in order, one at a time. */
function pairAlike(pairing: Pairing, classes: ClassPair, around: Around): void {
  for (const { a, b } of pairing.unpairedByClass(classes.a, classes.b).values()) {
    if (a.length !== b.length) continue;
    let next = 0;
    for (const x of a) {
      if (pairing.partnerOfA(x) !== undefined) continue;
      while (pairing.partnerOfB(b[next] as number) !== undefined) next++;
      const y = b[next] as number;
      if (y === undefined) break;
      pairing.pair(x, y);
      propagate(pairing, [[x, y]], around);
    }
  }
}
