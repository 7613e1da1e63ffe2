import { describe, expect, test } from 'vitest';
import type { Dim } from '../../src/ir/shape.ts';
import { tensorOf } from '../../src/ir/tensor.ts';
import { onnxRules } from '../../src/lint/index.ts';
import { lint } from '../../src/lint/rule.ts';
import {
  type KernelCounts,
  OnnxChanges,
  opened,
  predictedKernels,
  realKernels,
  staticModel,
  toMatMul,
  withFile,
} from './onnx-sample.ts';

const LINEARS = [
  ['up/linear', 'up', 32],
  ['down', 'down', 16],
  ['out', 'head', 4],
] as const;

/** The sample with MatMul and Add in place of Gemm, for tokens in sequences. */
function matMuls(leading: readonly Dim[], bias: 'i32' | 'f32'): OnnxChanges {
  const file = new OnnxChanges(staticModel());
  for (const [output, name, width] of LINEARS) {
    const own = bias === 'i32' ? `${name}.bias/f32` : `${name}.real`;
    if (bias === 'f32') file.setTensor(own, tensorOf('f32', [width], new Float32Array(width).fill(0.5)));
    toMatMul(file, output, own);
  }
  const [x] = file.model.inputs;
  const [out] = file.model.outputs;
  if (x === undefined || out === undefined) throw new Error('the sample has one of each');
  file.model = {
    ...file.model,
    inputs: [{ ...x, shape: [...leading, 16] }],
    outputs: [{ ...out, shape: [...leading, 4] }],
  };
  return file;
}

describe('MatMul and Add of rank 3 become a Gemm where every size is a number, and then need an i32 bias', () => {
  const inputs = { QGemm: 1, float: 2 } as const;
  test.each<readonly [readonly Dim[], 'i32' | 'f32', KernelCounts]>([
    [[5], 'i32', { QGemm: 3 }],
    [['tokens'], 'i32', { QGemm: 3 }],
    [[1, 5], 'i32', { QGemm: 3 }],
    [[1, 'tokens'], 'i32', { MatMulIntegerToFloat: 3 }],
    // `up` has a QuantizeLinear behind its Relu, for which ONNX Runtime rounds the bias itself.
    [[5], 'f32', inputs],
    [['tokens'], 'f32', inputs],
    // Here a Reshape stands between the two.
    [[1, 5], 'f32', { float: 3 }],
    [[1, 'tokens'], 'f32', { MatMulIntegerToFloat: 3 }],
  ])('[%s], bias %s', async (leading, bias, kernels) => {
    const { model } = matMuls(leading, bias);
    await withFile(model, async (path, folder) => {
      opened(path, (found) => {
        expect(predictedKernels(found)).toEqual(kernels);
        const rules = lint(onnxRules, found).map(({ rule, where }) => [rule, where]);
        expect(rules).toEqual(LINEARS.slice(3 - (kernels.float ?? 0)).map(([where]) => ['unfused-biases', where]));
      });
      expect(await realKernels(path, folder)).toEqual(kernels);
    });
  });
});
