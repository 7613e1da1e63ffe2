import type { Graph, Node } from '../../ir/graph.ts';
import type { Dim } from '../../ir/shape.ts';
import { integerTensor } from '../../ir/tensor.ts';
import { numberOf, type Size } from './sizes.ts';
import { dimsOf, type IndexValue, type ListValue } from './values.ts';

/** Builds offset + Σ strides[k] · range(shape[k]) along axis k; null for strides and sizes that are no plain numbers. */
export function countedNode(graph: Graph, { dtype, shape, offset, strides }: IndexValue): Node | null {
  const dims = dimsOf(shape);
  const steps = strides.map(numberOf);
  if (dims === null || steps.includes(null)) return null;
  const to = dtype === 'i32' ? 'i32' : 'i64';
  const scalar = (number: number) => graph.constant(integerTensor(to, [number], []));
  const terms: Node[] = [];
  for (const [axis, step] of steps.entries()) {
    if (step === 0) continue;
    const places = graph.add('range', [], { end: dims[axis] as Dim, to });
    const column = [dims[axis] as Dim, ...dims.slice(axis + 1).map(() => 1)];
    const along = graph.add('reshape', [places], { shape: column });
    terms.push(step === 1 ? along : graph.add('mul', [along, scalar(step as number)]));
  }
  const first = numberOf(offset);
  if (first === null) {
    const start = graph.add('reshape', [sizeNode(graph, offset)], { shape: [] });
    terms.push(to === 'i64' ? start : graph.add('cast', [start], { to }));
  } else if (first !== 0) terms.push(scalar(first));
  const total = sumOf(graph, terms);
  return total && (dtype === to ? total : graph.add('cast', [total], { to: dtype }));
}

/** Builds sizes of the run as data. */
export function sizesNode(graph: Graph, { elements, shape, dtype }: ListValue): Node {
  const parts = elements.map((size) => sizeNode(graph, size));
  const [only] = parts;
  const vector = parts.length === 1 && only ? only : graph.add('concat', parts, { axis: 0 });
  const list = shape.length === 1 ? vector : graph.add('reshape', [vector], { shape });
  return dtype === 'i64' ? list : graph.add('cast', [list], { to: dtype });
}

/** One size as a vector of length 1, each symbol counted as the sum of so many ones. */
function sizeNode(graph: Graph, size: Size): Node {
  const vector = (number: number) => graph.constant(integerTensor('i64', [number]));
  const terms = [...size].map(([symbols, factor]) => {
    if (symbols === '') return vector(factor);
    const zeros = graph.add('mul', [graph.add('range', [], { end: symbols }), vector(0)]);
    const count = graph.add('sum', [graph.add('add', [zeros, vector(1)])], { axis: 0 });
    return factor === 1 ? count : graph.add('mul', [count, vector(factor)]);
  });
  return sumOf(graph, terms) ?? vector(0);
}

function sumOf(graph: Graph, terms: readonly Node[]): Node | null {
  const [first, ...rest] = terms;
  return first === undefined ? null : rest.reduce((total, term) => graph.add('add', [total, term]), first);
}
