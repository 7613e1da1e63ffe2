import type { Constant, Node } from './graph.ts';
import type { Attrs } from './op.ts';
import { type AttrsOf, type OpName, opDef } from './ops/index.ts';
import { sizeOf } from './shape.ts';
import { readF32 } from './tensor.ts';

type Bindings = { readonly [name: string]: Node };

/** A function that yields every way in which the node fits, given what is bound already. Nothing to register. */
export type Pattern<C> = ((node: Node, bound: Bindings) => Iterable<Bindings>) & { readonly captures?: C };

type CapturesOf<P> = P extends Pattern<infer C> ? C : never;
type Intersect<U> = (U extends unknown ? (x: U) => void : never) extends (x: infer I) => void ? I : never;
type Merge<P extends readonly Pattern<unknown>[]> = Intersect<{ [K in keyof P]: CapturesOf<P[K]> }[number]>;

/** Any node. The same name twice means the same node. */
export function any<const N extends string>(name: N): Pattern<{ readonly [K in N]: Node }> {
  return function* (node, bound) {
    const earlier = bound[name];
    if (earlier === undefined) yield { ...bound, [name]: node };
    else if (earlier === node) yield bound;
  };
}

/** A constant of any value. */
export function weight<const N extends string>(name: N): Pattern<{ readonly [K in N]: Constant }> {
  const anyNode = any(name);
  return function* (node, bound) {
    if (node.op === 'constant') yield* anyNode(node, bound);
  };
}

/** fp16 checkpoints round constants by up to 2^-11 of their value; no two constants of our patterns are that close. */
const SCALAR_TOLERANCE = 2 ** -10;

/** A constant with one element of about this value. */
export function scalar(value: number): Pattern<unknown> {
  return function* (node, bound) {
    const found = scalarOf(node);
    if (found !== null && Math.abs(found - value) <= SCALAR_TOLERANCE * Math.abs(value)) yield bound;
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
  return function* (node, bound) {
    if (node.op !== name || node.inputs.length !== inputs.length) return;
    for (const [key, value] of wanted) if ((node.attrs as Attrs)[key] !== value) return;
    yield* matchInputs(node.inputs, inputs, 0, bound);
    if (opDef(name).commutative) yield* matchInputs([...node.inputs].reverse(), inputs, 0, bound);
  };
}

function* matchInputs(
  nodes: readonly Node[],
  patterns: readonly Pattern<unknown>[],
  at: number,
  bound: Bindings,
): Iterable<Bindings> {
  const pattern = patterns[at];
  const node = nodes[at];
  if (pattern === undefined || node === undefined) {
    yield bound;
    return;
  }
  for (const next of pattern(node, bound)) yield* matchInputs(nodes, patterns, at + 1, next);
}

/** The first of several patterns that fits. */
export function either<const P extends readonly Pattern<unknown>[]>(...patterns: P): Pattern<CapturesOf<P[number]>> {
  return function* (node, bound) {
    for (const pattern of patterns) yield* pattern(node, bound);
  };
}

/** The captures of a pattern at a node, or null. */
export function match<C>(pattern: Pattern<C>, node: Node): C | null {
  for (const bound of pattern(node, {})) return bound as C;
  return null;
}
