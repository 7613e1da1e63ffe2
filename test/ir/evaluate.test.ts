import { describe, expect, test } from 'vitest';
import { bindInputs, evaluate } from '../../src/ir/evaluate.ts';
import type { Node } from '../../src/ir/graph.ts';
import { readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { graphOf } from '../core.ts';

const TEXT = `graph g (x: f32[batch, 2], z: f32[batch, n])
  a = relu(x)
  b = add(a, a)
  s = mean(z) {axis: 1}
  y = mul(b, s)
return y: y, x: x`;

const f32 = (shape: readonly number[], ...values: number[]) => tensorOf('f32', shape, Float32Array.from(values));
const feeds = new Map([
  ['x', f32([1, 2], 3, -4)],
  ['z', f32([1, 3], 1, 2, 3)],
]);

test('gives the outputs, and other nodes where they are asked for', () => {
  const graph = graphOf(TEXT);
  const a = graph.nodes().find(({ name }) => name === 'a') as Node;
  const found = evaluate(graph, feeds, [a]);
  const values = [...found].map(([name, tensor]) => [name, ...readF32(tensor)]);
  expect(values).toEqual([
    ['a', 3, 0],
    ['y', 12, 0],
    ['x', 3, -4],
  ]);
});

test('binds symbols to the sizes of what it is fed', () => {
  expect(bindInputs(graphOf(TEXT), feeds)).toEqual({ batch: 1, n: 3 });
});

describe('refuses', () => {
  const changed = (name: string, tensor: Tensor | undefined) => {
    const given = new Map<string, Tensor>(feeds);
    if (tensor) given.set(name, tensor);
    else given.delete(name);
    return given;
  };

  test.each([
    ['a missing input', changed('z', undefined), 'z: no value is given for this input'],
    [
      'another dtype',
      changed('x', tensorOf('i32', [1, 2], Int32Array.of(1, 2))),
      'x: takes f32[batch, 2], got i32[1, 2]',
    ],
    ['another size', changed('x', f32([1, 1], 1)), 'x: takes f32[batch, 2], got f32[1, 1]'],
    ['another rank', changed('x', f32([2], 1, 2)), 'x: takes f32[batch, 2], got f32[2]'],
    ['two sizes for one symbol', changed('z', f32([2, 1], 1, 2)), 'z: takes f32[batch, n], got f32[2, 1]'],
  ])('%s', (_, given, message) => {
    expect(() => evaluate(graphOf(TEXT), given)).toThrow(expect.objectContaining({ code: 'MISMATCH', message }));
  });

  test('ops that are only carried', () => {
    const graph = graphOf('graph g (x: f32[2])\n y = foreign(x) {op: Own, outputShape: [2]}\nreturn y: y');
    expect(() => evaluate(graph, new Map([['x', f32([2], 1, 2)]]))).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', message: 'y: foreign cannot be evaluated' }),
    );
  });
});
