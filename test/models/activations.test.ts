import { expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import { Graph } from '../../src/ir/graph.ts';
import { readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { ACTIVATIONS, type Activation, activate } from '../../src/models/activations.ts';
import type { Builder } from '../../src/models/builder.ts';

const POINTS = Float32Array.of(-100, -20, -3, -1, -0.5, 0, 0.25, 1, 2, 7, 30, 100);

function valuesOf(activation: Activation): Float32Array {
  const graph = new Graph();
  const x = graph.input('x', { dtype: 'f32', shape: [POINTS.length] });
  // Of a builder, activations use the graph alone.
  graph.output('y', activate({ graph } as Builder, 'dense', x, activation));
  return readF32(evaluate(graph, new Map([['x', tensorOf('f32', [POINTS.length], POINTS)]])).get('y') as Tensor);
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
/** log(1 + eˣ), without an overflow for large x. */
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

test.each<[name: string, formula: (x: number) => number]>([
  ['relu', (x) => Math.max(x, 0)],
  ['relu2', (x) => Math.max(x, 0) ** 2],
  ['relu6', (x) => Math.min(Math.max(x, 0), 6)],
  ['silu', (x) => x * sigmoid(x)],
  ['quick_gelu', (x) => x * sigmoid(1.702 * x)],
  ['mish', (x) => x * Math.tanh(softplus(x))],
  ['tanh', Math.tanh],
  ['sigmoid', sigmoid],
])('%s follows its definition from one saturated end to the other', (name, formula) => {
  const values = valuesOf(ACTIVATIONS.get(name) as Activation);
  for (const [i, x] of POINTS.entries()) {
    const wanted = formula(x);
    expect(Math.abs((values[i] as number) - wanted), `${name}(${x})`).toBeLessThan(
      1e-6 * Math.max(1, Math.abs(wanted)),
    );
  }
});

test.each([
  ['swish', 'silu'],
  ['gelu_python', 'gelu'],
  ['gelu_fast', 'gelu_new'],
  ['gelu_accurate', 'gelu_new'],
  ['gelu_pytorch_tanh', 'gelu_new'],
  ['gelu_python_tanh', 'gelu_new'],
])('%s is another name of %s', (alias, name) => {
  expect(ACTIVATIONS.get(alias)).toBe(ACTIVATIONS.get(name));
  expect(ACTIVATIONS.has(alias)).toBe(true);
});
