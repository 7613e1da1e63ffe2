import { describe, expect, test } from 'vitest';
import { onnxModel } from '../../src/exporters/onnx/model.ts';
import { onnx } from '../../src/exporters/onnx.ts';
import type { OnnxModel } from '../../src/formats/onnx.ts';
import { readF32, readIntegers, type Tensor } from '../../src/ir/tensor.ts';
import { graphOf } from '../core.ts';
import { fc } from '../fast-check.ts';
import { expectAgreement } from './onnx-lab.ts';

/** A linear of integers with one scale each, as it is written. */
function written(scale: number, weightScale: number, bias: readonly number[]): OnnxModel {
  const graph = graphOf(`graph g (x: f32[2, 2])
  q = quantize(x)  u8[2, 2] q(${scale}, 128)
  y = linear(q, w i8[2, 2] q(${weightScale}, 0) {1, 2, 3, 4}, b f32[2] {${bias.join(', ')}})
return y: y`);
  return onnxModel(graph, onnx.defaults);
}

const initializer = (model: OnnxModel, name: string): Tensor => {
  const found = model.initializers.find((each) => each.name === name);
  if (found === undefined) throw new Error(`there is no ${name} among ${model.initializers.map((each) => each.name)}`);
  return found.tensor;
};
const ops = (model: OnnxModel) => model.nodes.map(({ op }) => op);

describe('the i32 bias of integer linears', () => {
  test('reaches 2^30, so that the sum behind it does not overflow', () => {
    const model = written(2 ** -7, 2 ** -10, [8192, -8192]);
    expect(ops(model)).not.toContain('Add');
    expect(readIntegers(initializer(model, 'b'))).toEqual([2 ** 30, -(2 ** 30)]);
  });

  test.each([8192.01, -8192.01, 1e30])('is added in f32 where it would be %d steps', (bias) => {
    const model = written(2 ** -7, 2 ** -10, [1, bias]);
    expect(ops(model)).toContain('Add');
    expect(initializer(model, 'b').dtype).toBe('f32');
  });

  test('goes to the even integer half-way between two', () => {
    expect(readIntegers(initializer(written(0.5, 0.5, [0.125, 0.375]), 'b'))).toEqual([0, 2]);
  });

  test('has the f32 product of the two scales that the file holds', () => {
    const scale = fc.double({ min: 1e-3, max: 1, noNaN: true });
    fc.assert(
      fc.property(scale, scale, (x, w) => {
        const model = written(x, w, [1, 2]);
        const expected = Math.fround(Math.fround(x) * Math.fround(w));
        const scales = model.nodes
          .filter(({ op, inputs }) => op === 'DequantizeLinear' && inputs[0] === 'b')
          .map(({ inputs }) => readF32(initializer(model, inputs[1] as string))[0]);
        expect(scales).toEqual([expected]);
      }),
      { numRuns: 200, seed: 1 },
    );
  });

  test('computes what the float bias would', () =>
    expectAgreement(
      graphOf(`graph g (x: f32[2, 2])
  q = quantize(x)  u8[2, 2] q(0.01, 128)
  y = linear(q, w i8[2, 2] q(0.02, 0) {1, 2, 3, 4}, b f32[2] {0.5, -0.25})
return y: y`),
      {},
      {},
      2e-4,
    ));
});
