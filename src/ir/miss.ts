import type { Node } from './graph.ts';
import { shapeText, sizeOf } from './shape.ts';
import { readF32 } from './tensor.ts';

/** One place where a pattern did not fit. */
export interface Miss {
  /** How many parts of the pattern had found their nodes before. */
  readonly fitted: number;
  readonly node: Node;
  /** The node whose input that is, and which input; undefined where the pattern begins. */
  readonly reader: Node | undefined;
  readonly position: number;
  /** The pattern's part in words that did not fit the node, as `a mul`. */
  readonly wanted: string;
}

/** Position of a pattern search that reports where it fails. A search that nobody asks to explain runs without one. */
export interface Trace {
  /** Continues the search at one of the inputs of the node `reader`, and returns the trace for it. */
  at(reader: Node, position: number): Trace;
  /** Returns a trace of the search that counts `parts` more parts of the pattern as fitted. */
  past(parts: number): Trace;
  /** Tells that the pattern has something else than this node here. */
  miss(node: Node, wanted: string): void;
}

/** The beginning of a search whose failures `report` hears. */
export function traceOf(report: (miss: Miss) => void): Trace {
  const from = (fitted: number, reader: Node | undefined, position: number): Trace => ({
    at: (next, input) => from(fitted, next, input),
    past: (parts) => from(fitted + parts, reader, position),
    miss: (node, wanted) => report({ fitted, node, reader, position, wanted }),
  });
  return from(0, undefined, 0);
}

const ORDINALS = ['first', 'second', 'third', 'fourth', 'fifth'];

/** `second input is a mul (mul_7), the pattern has a constant (gamma)`; `root` is the node that the pattern was tried at. */
export function missText(root: Node, { node, reader, position, wanted }: Miss): string {
  const problem = `is ${described(node)}, the pattern has ${wanted}`;
  if (reader === undefined) return problem;
  const input = `${ORDINALS[position] ?? `${position + 1}th`} input`;
  return `${reader === root ? input : `${input} of ${reader.name}`} ${problem}`;
}

function described(node: Node): string {
  return `${kindOf(node)} (${node.name})`;
}

function kindOf(node: Node): string {
  if (node.op === 'input') return 'an input of the model';
  if (node.op !== 'constant') return withArticle(node.op);
  const { dtype, shape } = node.tensor;
  const isNumber = dtype === 'f32' && sizeOf(shape) === 1;
  return isNumber ? numberText(readF32(node.tensor)[0] as number) : `a constant ${dtype}${shapeText(shape)}`;
}

/** `the number 0.707107`: with as many digits as tell numbers of patterns apart. */
export function numberText(value: number): string {
  return `the number ${Number(value.toPrecision(6))}`;
}

/** `an add`, `a mul`. */
export function withArticle(noun: string): string {
  return `${/^[aeiou]/i.test(noun) ? 'an' : 'a'} ${noun}`;
}
