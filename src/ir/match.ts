import type { Constant, Node } from './graph.ts';
import { type Miss, numberText, type Trace, traceOf, withArticle } from './miss.ts';
import type { Attrs } from './op.ts';
import { type AttrsOf, type OpName, opDef } from './ops/index.ts';
import { sizeOf } from './shape.ts';
import { readF32 } from './tensor.ts';

type Bindings = { readonly [name: string]: Node };

/** Nodes to look for, described. `C` is what they are captured as. Nothing to register. */
export interface Pattern<C> {
  /** The pattern in words for reports, as `add(mul(x, constant gamma), constant beta)`. */
  readonly text: string;
  /** How many parts it has, for telling how near a miss was. Of alternatives the longest counts. */
  readonly size: number;
  /** Yields every way in which the node fits, given what is bound already. Tells the trace where it does not. */
  fit(node: Node, bound: Bindings, trace?: Trace): Iterable<Bindings>;
  readonly captures?: C;
}

type CapturesOf<P> = P extends Pattern<infer C> ? C : never;
type Intersect<U> = (U extends unknown ? (x: U) => void : never) extends (x: infer I) => void ? I : never;
type Merge<P extends readonly Pattern<unknown>[]> = Intersect<{ [K in keyof P]: CapturesOf<P[K]> }[number]>;

/** Any node. The same name twice means the same node. */
export function any<const N extends string>(name: N): Pattern<{ readonly [K in N]: Node }> {
  return {
    text: name,
    size: 1,
    *fit(node, bound, trace) {
      const earlier = bound[name];
      if (earlier === undefined) yield { ...bound, [name]: node };
      else if (earlier === node) yield bound;
      else trace?.miss(node, `${earlier.name} again (${name})`);
    },
  };
}

/** A constant of any value. */
export function weight<const N extends string>(name: N): Pattern<{ readonly [K in N]: Constant }> {
  const anyNode = any(name);
  return {
    text: `constant ${name}`,
    size: 1,
    *fit(node, bound, trace) {
      if (node.op === 'constant') yield* anyNode.fit(node, bound, trace);
      else trace?.miss(node, `a constant (${name})`);
    },
  };
}

/** fp16 checkpoints round constants by up to 2^-11 of their value; no two constants of our patterns are that close. */
const SCALAR_TOLERANCE = 2 ** -10;

/** A constant with one element of about this value. */
export function scalar(value: number): Pattern<unknown> {
  return {
    text: String(Number(value.toPrecision(6))),
    size: 1,
    *fit(node, bound, trace) {
      const found = scalarOf(node);
      if (found !== null && Math.abs(found - value) <= SCALAR_TOLERANCE * Math.abs(value)) yield bound;
      else trace?.miss(node, numberText(value));
    },
  };
}

/** The value of a constant float with one element, else null. */
export function scalarOf(node: Node): number | null {
  if (node.op !== 'constant' || sizeOf(node.tensor.shape) !== 1) return null;
  return readF32(node.tensor)[0] ?? null;
}

/** A node of this op whose inputs fit, in either order where the op commutes. Attributes that are given must be equal. */
export function op<O extends OpName, const P extends readonly Pattern<unknown>[]>(
  name: O,
  inputs: P,
  attrs: Partial<AttrsOf<O>> = {},
): Pattern<Merge<P>> {
  const wanted = Object.entries(attrs as Attrs);
  const shown = wanted.length === 0 ? '' : ` {${wanted.map(([key, value]) => `${key}: ${value}`).join(', ')}}`;
  return {
    text: `${name}(${inputs.map(({ text }) => text).join(', ')})${shown}`,
    size: inputs.reduce((sum, { size }) => sum + size, 1),
    *fit(node, bound, trace) {
      if (node.op !== name) {
        trace?.miss(node, withArticle(name));
        return;
      }
      const inside = trace?.past(1);
      if (node.inputs.length !== inputs.length) {
        inside?.miss(node, `one with ${inputs.length} inputs, not ${node.inputs.length}`);
        return;
      }
      for (const [key, value] of wanted) {
        if ((node.attrs as Attrs)[key] === value) continue;
        inside?.miss(node, `one with ${key} ${value}, not ${(node.attrs as Attrs)[key]}`);
        return;
      }
      const places = inputs.map((_, i) => i);
      yield* fitInputs(node, inputs, places, bound, inside);
      if (opDef(name).commutative) yield* fitInputs(node, inputs, places.toReversed(), bound, inside);
    },
  };
}

/** Fits the inputs of a node one after the other; `places` says which input each pattern is for. */
function* fitInputs(
  node: Node,
  [pattern, ...patterns]: readonly Pattern<unknown>[],
  [place = 0, ...places]: readonly number[],
  bound: Bindings,
  trace: Trace | undefined,
): Iterable<Bindings> {
  const input = node.inputs[place];
  if (pattern === undefined || input === undefined) {
    yield bound;
    return;
  }
  const behind = trace?.past(pattern.size);
  for (const next of pattern.fit(input, bound, trace?.at(node, place))) {
    yield* fitInputs(node, patterns, places, next, behind);
  }
}

/** The first of several patterns that fits. */
export function either<const P extends readonly Pattern<unknown>[]>(...patterns: P): Pattern<CapturesOf<P[number]>> {
  return {
    text: `(${patterns.map(({ text }) => text).join(' | ')})`,
    size: patterns.reduce((most, { size }) => Math.max(most, size), 0),
    *fit(node, bound, trace) {
      for (const pattern of patterns) yield* pattern.fit(node, bound, trace);
    },
  };
}

/** A pattern whose node meets a condition as well; `says` completes "the pattern has one …". */
export function where<C>(
  pattern: Pattern<C>,
  says: string,
  meets: (node: Node, bound: Bindings) => boolean,
): Pattern<C> {
  return {
    text: `${pattern.text} ${says}`,
    size: pattern.size,
    *fit(node, bound, trace) {
      for (const next of pattern.fit(node, bound, trace)) {
        if (meets(node, next)) yield next;
        else trace?.past(pattern.size).miss(node, `one ${says}`);
      }
    },
  };
}

/** Gives a pattern a shorter text. */
export function printedAs<C>(text: string, pattern: Pattern<C>): Pattern<C> {
  return { text, size: pattern.size, fit: pattern.fit };
}

/** The captures of a pattern at a node, or null. */
export function match<C>(pattern: Pattern<C>, node: Node): C | null {
  for (const bound of pattern.fit(node, {})) return bound as C;
  return null;
}

/** The failure of a pattern at a node that comes after most of the pattern has fitted, or null where all of it fits. */
export function why(pattern: Pattern<unknown>, node: Node): Miss | null {
  const misses: Miss[] = [];
  const trace = traceOf((miss) => {
    const [deepest] = misses;
    if (deepest === undefined || miss.fitted > deepest.fitted) misses[0] = miss;
  });
  for (const _ of pattern.fit(node, {}, trace)) return null;
  // A pattern of a caller's own may tell nothing.
  return misses[0] ?? { fitted: 0, node, reader: undefined, position: 0, wanted: pattern.text };
}
