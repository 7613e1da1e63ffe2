import { CONSTANT, type Side, type Value } from './side.ts';

/** Numbers for texts: equal texts have equal numbers, in both graphs. Exact where a hash could collide. */
export class Interner {
  readonly #numbers = new Map<string, number>();

  number(text: string): number {
    const number = this.#numbers.get(text) ?? this.#numbers.size;
    if (number === this.#numbers.size) this.#numbers.set(text, number);
    return number;
  }
}

/** Numbers of a side's values, one each: values with the same number are alike in some respect. */
export type Classes = Int32Array;

/** Classes of both sides' values, numbered alike. */
export interface ClassPair {
  readonly a: Classes;
  readonly b: Classes;
}

/** Class of values that match nothing. */
export const NO_CLASS = -1;

export function classesOf(side: Side, interner: Interner, describe: (value: Value) => string | null): Classes {
  return Int32Array.from(side.values, (value) => {
    const text = describe(value);
    return text === null ? NO_CLASS : interner.number(text);
  });
}

/** Classes of values that compute the same expression, as far as the labels tell. */
export function downClasses(side: Side, interner: Interner, labels: Classes): Classes {
  const classes = new Int32Array(side.values.length);
  for (let i = 0; i < classes.length; i++) {
    classes[i] = interner.number(`down ${labels[i]} ${readsOf(side, i, classes)}`);
  }
  return classes;
}

/** Classes of values that are used in the same way all the way to the outputs; which outputs does not matter. */
export function upClasses(side: Side, interner: Interner, labels: Classes): Classes {
  const classes = new Int32Array(side.values.length);
  for (let i = classes.length - 1; i >= 0; i--) {
    const uses = usesOf(side, i, (user) => interner.number(`user ${labels[user]} ${classes[user]}`));
    classes[i] = interner.number(`up ${side.outputs[i]} ${uses}`);
  }
  return classes;
}

/** Classes of what a value reads, in order where the order means something. */
function readsOf(side: Side, value: number, classes: Classes): number[] {
  const read = (side.inputs[value] as number[]).map((input) =>
    input === CONSTANT ? CONSTANT : (classes[input] as number),
  );
  return side.unordered[value] ? read.sort((a, b) => a - b) : read;
}

/** Readers of a value with the position that they read at, in an order that depends on `classOf` alone. */
function usesOf(side: Side, value: number, classOf: (user: number) => number): string {
  const users = side.users[value] as number[];
  const uses: string[] = [];
  for (let i = 0; i < users.length; i += 2) {
    const user = users[i] as number;
    uses.push(`${classOf(user)}@${side.unordered[user] ? '*' : users[i + 1]}`);
  }
  return uses.sort().join(',');
}

/** Classes of values from which inputs and readers look the same for `rounds` steps in all directions. */
export function neighbourhoods(side: Side, interner: Interner, labels: Classes, rounds: number): Classes {
  let classes = labels;
  for (let round = 0; round < rounds; round++) {
    const before = classes;
    classes = Int32Array.from(side.values, (_, i) => {
      const read = readsOf(side, i, before);
      const uses = usesOf(side, i, (user) => before[user] as number);
      return interner.number(`around ${before[i]} ${read} ${side.outputs[i]} ${uses}`);
    });
  }
  return classes;
}

/** Classes of values that are alike in both respects. */
export function combined(interner: Interner, first: Classes, second: Classes): Classes {
  return first.map((one, i) =>
    one === NO_CLASS || second[i] === NO_CLASS ? NO_CLASS : interner.number(`both ${one} ${second[i]}`),
  );
}
