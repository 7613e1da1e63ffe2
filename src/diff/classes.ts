import { CONSTANT, type Side, type Value } from './side.ts';

/** Numbers for texts: equal texts have equal numbers, in both graphs. Exact where a hash could collide. */
export class Interner {
  readonly #numbers = new Map<string, number>();

  number(text: string): number {
    const found = this.#numbers.get(text);
    if (found !== undefined) return found;
    this.#numbers.set(text, this.#numbers.size);
    return this.#numbers.size - 1;
  }
}

/** One number a value: values with the same are alike in some respect. */
export type Classes = Int32Array;

/** In the place of a class: matches nothing. */
export const NO_CLASS = -1;

export function classesOf(side: Side, interner: Interner, describe: (value: Value) => string | null): Classes {
  return Int32Array.from(side.values, (value) => {
    const text = describe(value);
    return text === null ? NO_CLASS : interner.number(text);
  });
}

/** Values of one class compute the same expression, as far as the labels tell. */
export function downClasses(side: Side, interner: Interner, labels: Classes): Classes {
  const classes = new Int32Array(side.values.length);
  for (let i = 0; i < classes.length; i++) {
    const read = (side.inputs[i] as number[]).map((input) =>
      input === CONSTANT ? CONSTANT : (classes[input] as number),
    );
    if (side.unordered[i]) read.sort(ascending);
    classes[i] = interner.number(`down ${labels[i]} ${read}`);
  }
  return classes;
}

/** Values of one class are used in the same way all the way to the outputs; which outputs does not matter. */
export function upClasses(side: Side, interner: Interner, labels: Classes): Classes {
  const classes = new Int32Array(side.values.length);
  for (let i = classes.length - 1; i >= 0; i--) {
    const uses = usesOf(side, i, (user) => interner.number(`user ${labels[user]} ${classes[user]}`));
    classes[i] = interner.number(`up ${side.outputs[i]} ${uses}`);
  }
  return classes;
}

/** Readers with the position that they read at, in an order that depends on `classOf` alone. */
function usesOf(side: Side, value: number, classOf: (user: number) => number): string {
  const users = side.users[value] as number[];
  const uses: string[] = [];
  for (let i = 0; i < users.length; i += 2) {
    const user = users[i] as number;
    uses.push(`${classOf(user)}@${side.unordered[user] ? '*' : users[i + 1]}`);
  }
  return uses.sort().join(',');
}

/** What `rounds` steps in all directions look like from each value: inputs and readers, their labels, and so on. */
export function neighbourhoods(side: Side, interner: Interner, labels: Classes, rounds: number): Classes {
  let classes = labels;
  for (let round = 0; round < rounds; round++) {
    const before = classes;
    classes = Int32Array.from(side.values, (_, i) => {
      const read = (side.inputs[i] as number[]).map((input) =>
        input === CONSTANT ? CONSTANT : (before[input] as number),
      );
      if (side.unordered[i]) read.sort(ascending);
      const uses = usesOf(side, i, (user) => before[user] as number);
      return interner.number(`around ${before[i]} ${read} ${side.outputs[i]} ${uses}`);
    });
  }
  return classes;
}

/** Alike in both respects. */
export function combined(interner: Interner, first: Classes, second: Classes): Classes {
  return first.map((one, i) =>
    one === NO_CLASS || second[i] === NO_CLASS ? NO_CLASS : interner.number(`both ${one} ${second[i]}`),
  );
}

function ascending(a: number, b: number): number {
  return a - b;
}
