import type { Call, Graph, Node } from '../../ir/graph.ts';
import { product } from '../../ir/shape.ts';
import { scalarTensor } from '../../ir/tensor.ts';
import type { ConstantLinear } from '../attention.ts';

/**
 * The least peak of a GELU's tokens. A GELU reaches down to -0.17 at every token, which beside a smaller peak would take
 * most of the steps. On a MiniLM 1 and 1.5 are alike, and 3 costs 0.8 dB.
 */
const LEAST_PEAK = 1;

/** The least square of a signed value's peak: a token of zeros is divided by its root. */
const LEAST_SQUARE = 1e-12;

/** A value whose tokens are divided by their peaks, and these. */
export interface ByPeak {
  readonly value: Node;
  readonly peak: Node;
}

/**
 * Divides each token by the largest magnitude in it; of a GELU's token by its largest value. So every token has all
 * integer steps up to its own peak, however loud another one is, and no text reaches beyond the range. The result is
 * of flat tokens, as flatten-tokens wants its readers.
 */
export function dividedByPeak(graph: Graph, x: Node): ByPeak {
  const { shape } = x.type;
  const flat = graph.add('reshape', [x], { shape: [product(shape.slice(0, -1)), ...shape.slice(-1)] });
  const peak = x.op === 'gelu' ? geluPeak(graph, flat, x.name) : signedPeak(graph, flat, x.name);
  return { value: graph.add('div', [flat, peak], {}, `${x.name}.by_peak`), peak };
}

/**
 * Builds W x + b as W (x / p) · p + b. What is computed `beside` is added before the bias, so that ONNX Runtime takes the
 * bias and a GELU behind it in one step.
 */
export function linearByPeak(
  graph: Graph,
  { node, bias }: ConstantLinear,
  { value, peak }: ByPeak,
  weight: Node,
  beside: Node | undefined,
): Call {
  const { name } = node;
  const part = graph.add('linear', [value, weight], node.attrs, name);
  const scaled = graph.add('mul', [part, peak], {}, `${name}.scaled`);
  const own = graph.add('reshape', [scaled], { shape: node.type.shape });
  const sum = beside ? graph.add('add', [own, beside], {}, `${name}.sum`) : own;
  return bias ? graph.add('add', [sum, bias], {}, `${name}.with_bias`) : sum;
}

function geluPeak(graph: Graph, x: Node, name: string): Node {
  const largest = graph.add('max', [x], { axis: -1, keepDims: true }, `${name}.largest`);
  const least = graph.constant(scalarTensor(LEAST_PEAK), `${name}.least_peak`);
  return graph.add('maximum', [largest, least], {}, `${name}.peak`);
}

function signedPeak(graph: Graph, x: Node, name: string): Node {
  const squares = graph.add('mul', [x, x], {}, `${name}.squares`);
  const largest = graph.add('max', [squares], { axis: -1, keepDims: true }, `${name}.largest`);
  const least = graph.constant(scalarTensor(LEAST_SQUARE), `${name}.least_square`);
  return graph.add('sqrt', [graph.add('maximum', [largest, least], {}, `${name}.square`)], {}, `${name}.peak`);
}
