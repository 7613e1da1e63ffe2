import { describe, expect, test } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import { addGradients } from '../../src/gradient/gradients.ts';
import { refused, rules } from '../../src/gradient/rules.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph, Node } from '../../src/ir/graph.ts';
import { bindDim, product, type Shape, sizeOf } from '../../src/ir/shape.ts';
import { readF32, scalarTensor, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { parseGraph } from '../../src/ir/text.ts';
import { randomNumbers } from '../../src/solve/random-numbers.ts';
import { undecided } from '../undecided.ts';

const SIZES: { readonly [symbol: string]: number } = { batch: 2, sequence: 3 };

const CASES: readonly (readonly [string, string, string])[] = [
  ['add of equal shapes', 'a: f32[2, 3], b: f32[2, 3]', 'y = add(a, b)'],
  ['add of a bias', 'a: f32[batch, sequence, 4], b: f32[4]', 'y = add(a, b)'],
  ['add of a table of positions', 'a: f32[batch, 3, 4], b: f32[3, 4]', 'y = add(a, b)'],
  ['sub', 'a: f32[batch, 3], b: f32[3]', 'y = sub(a, b)'],
  ['mul', 'a: f32[batch, 3], b: f32[3]', 'y = mul(a, b)'],
  ['mul by a scalar', 'a: f32[batch, 3], b: f32[]', 'y = mul(a, b)'],
  ['div', 'a: f32[batch, 3], b: f32[3]', 'y = div(a, b)'],
  ['relu', 'x: f32[4, 5]', 'y = relu(x)'],
  ['tanh', 'x: f32[4, 5]', 'y = tanh(x)'],
  ['sigmoid', 'x: f32[4, 5]', 'y = sigmoid(x)'],
  ['gelu by erf', 'x: f32[4, 5]', 'y = gelu(x)'],
  ['gelu by tanh', 'x: f32[4, 5]', 'y = gelu(x) {tanh: true}'],
  ['softmax along a known axis', 'x: f32[batch, 5]', 'y = softmax(x)'],
  ['softmax along a symbol', 'x: f32[2, 2, sequence]', 'y = softmax(x)'],
  ['normalize', 'x: f32[batch, sequence, 4]', 'y = normalize(x)'],
  ['log', 'x: f32[4, 5]', 'a = mul(x, x)\n  b = add(a, one f32[] {1})\n  y = log(b)'],
  ['sum along the last axis', 'x: f32[batch, 5]', 'y = sum(x)'],
  ['sum over tokens', 'x: f32[batch, sequence, 4]', 'y = sum(x) {axis: 1, keepDims: false}'],
  ['linear', 'x: f32[batch, sequence, 4], w: f32[5, 4], b: f32[5]', 'y = linear(x, w, b)'],
  ['linear without a bias', 'x: f32[3, 4], w: f32[5, 4]', 'y = linear(x, w)'],
  ['linear with a relu', 'x: f32[3, 4], w: f32[5, 4], b: f32[5]', 'y = linear(x, w, b) {activation: "relu"}'],
  ['matmul', 'a: f32[batch, 2, 3, 4], b: f32[batch, 2, 4, 5]', 'y = matmul(a, b)'],
  ['matmul of b turned', 'a: f32[2, 3, 4], b: f32[2, 5, 4]', 'y = matmul(a, b) {transposeB: true}'],
  ['matmul with one table for all', 'a: f32[batch, 2, 3, 2]', 'y = matmul(a, b f32[1, 2, 2, 1] {1, 2, 3, 4})'],
  ['layerNorm', 'x: f32[batch, 3, 6], g: f32[6], c: f32[6]', 'y = layerNorm(x, g, c) {epsilon: 0.01}'],
  ['noNorm', 'x: f32[batch, 3, 6], g: f32[6], c: f32[6]', 'y = noNorm(x, g, c)'],
  ['reshape', 'x: f32[batch, sequence, 4]', 'y = reshape(x) {shape: [batch, sequence, 2, 2]}'],
  ['transpose', 'x: f32[2, 3, 4]', 'y = transpose(x) {permutation: [1, 2, 0]}'],
  ['slice in the middle', 'x: f32[batch, 6]', 'y = slice(x) {axis: 1, start: 2, end: 4}'],
  ['slice to the end', 'x: f32[batch, 6]', 'y = slice(x) {axis: 1, start: 2, end: 6}'],
  ['slice of the first token', 'x: f32[batch, sequence, 4]', 'y = slice(x) {axis: 1, start: 0, end: 1}'],
  ['concat', 'a: f32[batch, 2], b: f32[batch, 3]', 'y = concat(a, b)'],
  ['shift', 'x: f32[batch, sequence, 4]', 'y = shift(x) {axis: 1, offset: 1}'],
  ['where', 'm: bool[batch, 3], a: f32[batch, 3], b: f32[3]', 'y = where(m, a, b)'],
  ['cast of floats', 'x: f32[batch, 3]', 'y = cast(x) {to: f32}'],
  ['a value that is read twice', 'x: f32[batch, 3]', 'h = tanh(x)\n  y = mul(h, h)'],
];

describe('the gradient by finite differences', () => {
  for (const [name, inputs, body] of CASES) {
    test(name, () => {
      const graph = parseGraph(`graph g (${inputs}, seed: f32[1])\n  ${body}\nreturn y: y\n`);
      const y = graph.outputs[0]?.node as Node;
      const wanted = graph.inputs.filter((input) => input.type.dtype === 'f32' && input.name !== 'seed');
      const seed = graph.input('dy', { dtype: 'f32', shape: y.type.shape });
      const { count, sizes } = counter(graph);
      const gradients = addGradients(graph, new Map([[y, seed]]), wanted, count);
      const feeds = new Map(graph.inputs.map((input, i) => [input.name, feedOf(input, i + 1)]));
      for (const [node, value] of sizes) feeds.set(node, scalarTensor(value));
      const dy = readF32(feeds.get('dy') as Tensor);
      const found = valuesOf(graph, feeds, [...gradients.values()]);
      for (const input of wanted) {
        const gradient = gradients.get(input) as Node;
        expect(gradient.type.shape).toEqual(input.type.shape);
        const values = readF32(found.get(gradient.name) as Tensor);
        const differences = byDifferences(graph, feeds, input.name, dy);
        for (const [i, value] of values.entries()) {
          const difference = differences[i] as number;
          expect((value - difference) / Math.max(1, Math.abs(difference))).toBeCloseTo(0, 2.5);
        }
      }
    });
  }
});

test('every op has a rule or is refused, and every rule is tried here', () => {
  expect(undecided('the gradient rules', rules, refused)).toEqual([]);
  const tried = new Set(CASES.flatMap(([, inputs, body]) => opsIn(`graph g (${inputs}) ${body} return y: y`)));
  expect(Object.keys(rules).filter((op) => !tried.has(op))).toEqual([]);
});

function opsIn(text: string): string[] {
  return parseGraph(text)
    .nodes()
    .map(({ op }) => op);
}

test('several values of a graph may be seeds, and what none depends on has no gradient', () => {
  const graph = parseGraph(`graph g (x: f32[2], unread: f32[2])
  a = tanh(x)
  b = add(a, a)
return a: a, b: b
`);
  const [a, b] = graph.outputs.map(({ node }) => node) as [Node, Node];
  const one = graph.constant(tensorOf('f32', [2], Float32Array.of(1, 1)));
  const gradients = addGradients(
    graph,
    new Map([
      [a, one],
      [b, one],
    ]),
    graph.inputs,
    counter(graph).count,
  );
  expect([...gradients.keys()].map(({ name }) => name)).toEqual(['x']);
  const x = Float32Array.of(0.5, -1);
  const feeds = new Map(graph.inputs.map(({ name }) => [name, tensorOf('f32', [2], x)]));
  const [gradient] = [...gradients.values()] as [Node];
  const found = readF32(valuesOf(graph, feeds, [gradient]).get(gradient.name) as Tensor);
  for (const [i, value] of found.entries()) expect(value).toBeCloseTo(3 * (1 - Math.tanh(x[i] as number) ** 2), 5);
});

test.each([
  ['an op without a rule', 'y = maximum(x, x)', 'y: maximum has no gradient: no rule is written for it'],
  ['an op that rounds', 'y = dynamicRound(x)', 'y: dynamicRound has no gradient: its result goes in steps'],
  [
    'a matmul that broadcasts',
    'h = reshape(x) {shape: [1, 2, 2]}\n  y = matmul(h, b)',
    'y: matmul has no gradient: not in this form',
  ],
])('refuses %s', (_, body, message) => {
  const graph = parseGraph(`graph g (x: f32[2, 2], b: f32[3, 2, 2])\n  ${body}\nreturn y: y\n`);
  const y = graph.outputs[0]?.node as Node;
  const act = () => addGradients(graph, new Map([[y, y]]), [graph.inputs[0] as Node], counter(graph).count);
  expect(act).toThrow(MbertError);
  expect(act).toThrow(message);
});

function valuesOf(graph: Graph, feeds: ReadonlyMap<string, Tensor>, nodes: readonly Node[]) {
  return evaluate(graph.withOutputs(nodes.map((node) => ({ name: node.name, node }))), feeds);
}

/** Inputs for the sizes of symbols, as they are asked for. */
function counter(graph: Graph) {
  const sizes = new Map<string, number>();
  const count = (axes: Shape) => {
    const name = `size.${product(axes)}`;
    const known = graph.inputs.find((input) => input.name === name);
    sizes.set(name, bindDim(product(axes), SIZES) as number);
    return known ?? graph.input(name, { dtype: 'f32', shape: [] });
  };
  return { count, sizes };
}

/** Values of 0.1 … 1.1, half of them below zero: away from where relu bends. */
function feedOf({ type }: Node, seed: number): Tensor {
  const shape = type.shape.map((dim) => bindDim(dim, SIZES) as number);
  const random = randomNumbers(seed);
  const count = sizeOf(shape);
  if (type.dtype === 'bool')
    return tensorOf(
      'bool',
      shape,
      Uint8Array.from({ length: count }, () => Math.round(random())),
    );
  return tensorOf(
    'f32',
    shape,
    Float32Array.from({ length: count }, () => (random() < 0.5 ? -1 : 1) * (0.1 + random())),
  );
}

function byDifferences(graph: Graph, feeds: ReadonlyMap<string, Tensor>, name: string, dy: Float32Array): number[] {
  const step = 0.01;
  const tensor = feeds.get(name) as Tensor;
  const at = (i: number, by: number) => {
    const moved = readF32(tensor).slice();
    moved[i] = (moved[i] as number) + by;
    const y = readF32(
      evaluate(graph, new Map(feeds).set(name, tensorOf('f32', tensor.shape, moved))).get('y') as Tensor,
    );
    return y.reduce((sum, value, k) => sum + value * (dy[k] as number), 0);
  };
  return Array.from(readF32(tensor), (_, i) => (at(i, step) - at(i, -step)) / (2 * step));
}
