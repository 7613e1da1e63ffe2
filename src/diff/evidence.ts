import { shapeText, sizeOf } from '../ir/shape.ts';
import {
  type Classes,
  type ClassPair,
  classesOf,
  combined,
  downClasses,
  Interner,
  neighbourhoods,
  upClasses,
} from './classes.ts';
import type { Contents } from './contents.ts';
import { findGivenNames } from './names.ts';
import type { Pairing } from './pairing.ts';
import { attrsOf, constantsOf, opName, type Side, type Value } from './side.ts';

/** Constants with fewer elements than this, all together, do not say which call reads them. */
const MIN_TELLING_ELEMENTS = 4;

/** Classes that are computed when they are first asked for: hashing contents takes long. */
export type LazyClasses = () => ClassPair;

type Direction = typeof downClasses;

/** Everything that may tell which values of two graphs are the same, each kind as classes. */
export class Evidence {
  readonly contents: Contents;
  readonly ops: LazyClasses;
  /** Classes by op, attributes and the shapes of constants. */
  readonly types: LazyClasses;
  /** Classes by op, attributes and the contents of constants. */
  readonly calls: LazyClasses;
  /** Classes by the place in the skeleton: ops alone, from the inputs and from the outputs. */
  readonly position: LazyClasses;
  /** Classes by the contents of constants large enough to say which call reads them. */
  readonly content: LazyClasses;
  readonly ownNames: LazyClasses;
  readonly constantNames: LazyClasses;
  readonly inputNames: LazyClasses;
  readonly #a: Side;
  readonly #b: Side;

  constructor(a: Side, b: Side, contents: Contents) {
    this.contents = contents;
    this.#a = a;
    this.#b = b;
    const isGiven = givenNames(a, b);
    const contentText = (value: Value) => constantsOf(value).map((constant) => contents.key(constant));
    this.ops = this.#described(opName);
    this.types = this.#described((value) => `${opName(value)} ${attrsText(value)} ${shapesText(value)}`);
    this.calls = this.#described((value) => `${opName(value)} ${attrsText(value)} ${contentText(value)}`);
    this.position = this.#both(
      this.#along(downClasses, this.ops),
      this.#both(this.ops, this.#along(upClasses, this.ops)),
    );
    this.content = this.#described((value) => (isTelling(value) ? `${opName(value)} ${contentText(value)}` : null));
    this.ownNames = this.#described((value) => (isGiven(value.name) ? `${opName(value)} ${value.name}` : null));
    this.constantNames = this.#described((value) => {
      const names = constantsOf(value).map(({ name }) => name);
      return names.length > 0 && names.every(isGiven) ? `${opName(value)} ${names}` : null;
    });
    this.inputNames = this.#described((value) => (value.op === 'input' ? value.name : null));
  }

  /** Classes by what `classes` tells of values in the same position. */
  withPosition(classes: LazyClasses): LazyClasses {
    return this.#both(this.position, classes);
  }

  /** Classes by whole expressions, attributes and contents included: what a value is made of, or what becomes of it. */
  expressions(direction: Direction): LazyClasses {
    return this.#both(this.calls, this.#along(direction, this.calls));
  }

  haveSamePosition(a: number, b: number): boolean {
    const position = this.position();
    return position.a[a] === position.b[b];
  }

  /** Classes by what is up to `rounds` steps away, in which a pair is told from all other values. */
  neighbours(pairing: Pairing, labels: ClassPair, rounds: number): ClassPair {
    return this.#ofSides((side, interner, of) => {
      const anchored = pairing.anchored(
        labels[of].map((label) => interner.number(`label ${label}`)),
        of,
        (value) => interner.number(`pair ${value}`),
      );
      return neighbourhoods(side, interner, anchored, rounds);
    })();
  }

  /** Kinds of evidence have an interner each, whose many texts go when the classes are made. */
  #ofSides(classify: (side: Side, interner: Interner, of: 'a' | 'b') => Classes): LazyClasses {
    let classes: ClassPair | undefined;
    return () => {
      if (classes === undefined) {
        const interner = new Interner();
        classes = { a: classify(this.#a, interner, 'a'), b: classify(this.#b, interner, 'b') };
      }
      return classes;
    };
  }

  #described(describe: (value: Value) => string | null): LazyClasses {
    return this.#ofSides((side, interner) => classesOf(side, interner, describe));
  }

  #along(direction: Direction, labels: LazyClasses): LazyClasses {
    return this.#ofSides((side, interner, of) => direction(side, interner, labels()[of]));
  }

  #both(first: LazyClasses, second: LazyClasses): LazyClasses {
    return this.#ofSides((_, interner, of) => combined(interner, first()[of], second()[of]));
  }
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
  const isGivenIn = [a, b].map(({ graph }) => findGivenNames(graph.nodes().map(({ name }) => name)));
  return (name) => isGivenIn.every((isGiven) => isGiven(name));
}
