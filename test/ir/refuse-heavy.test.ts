import { expect, test } from 'vitest';
import { refuseHeavy } from '../../src/ir/refuse-heavy.ts';
import { graphOf } from '../core.ts';

const refusal = (problem: string) =>
  expect.objectContaining({ code: 'UNSUPPORTED', message: expect.stringContaining(problem) });

const expanded = (rows: number) =>
  graphOf(`graph g (x: f32[1])
  wide = expand(c f32[1] {1}) {shape: [${rows}, 1024]}
  first = slice(wide) {axis: 1, end: 1}
  y = add(first, x)
return y: y`);

test('refuses a graph that asks a runtime for gigabytes of constants', () => {
  refuseHeavy(expanded(65_000), 'm.onnx');
  expect(() => refuseHeavy(expanded(66_000), 'm.onnx')).toThrow(refusal('m.onnx: wide: computes more from constants'));
});

test('refuses products of constants that take minutes', () => {
  const chain = (links: number) =>
    graphOf(`graph g (x: f32[1024, 1024])
  p0 = matmul(a f32[1024, 1024] #1, b f32[1024, 1024] #2)
${Array.from({ length: links }, (_, i) => `  p${i + 1} = matmul(p${i}, b)`).join('\n')}
  y = add(p${links}, x)
return y: y`);
  refuseHeavy(chain(1), 'm.onnx');
  expect(() => refuseHeavy(chain(4), 'm.onnx')).toThrow(refusal('computes more from constants'));
});

test('refuses inputs that no memory holds', () => {
  const graph = (rows: number) =>
    graphOf(`graph g (x: f32[${rows}, 4])
  y = tanh(x)
return y: y`);
  refuseHeavy(graph(2 ** 24), 'm.onnx');
  expect(() => refuseHeavy(graph(2 ** 24 + 1), 'm.onnx')).toThrow(refusal('m.onnx: input x: takes 67108868 numbers'));
});
