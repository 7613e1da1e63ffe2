import { describe, expect, test } from 'vitest';
import { readF32 } from '../../src/ir/tensor.ts';
import { onnxRules, tfliteRules } from '../../src/lint/index.ts';
import { lint } from '../../src/lint/rule.ts';
import { type LintOperator, type LintTensor, readTfliteModel } from '../../src/lint/tflite/model.ts';
import { isNormal, ratioProblem, refusal, requantizationProblem } from '../../src/lint/tflite/xnnpack-operators.ts';
import { bytesOf } from '../exporters/tflite-lab.ts';
import { OnnxChanges, opened, staticModel, withFile } from './onnx-sample.ts';
import { Changes, floatLayer, goodFile } from './sample.ts';

/** An i8 tensor of one scale. */
function tensor(scale: number, changes: Partial<LintTensor> = {}): LintTensor {
  return {
    index: 0,
    name: 't',
    type: 'INT8',
    shape: [2, 8],
    scales: Float32Array.of(scale),
    zeroPoints: [0],
    quantizedDimension: 0,
    block: undefined,
    data: undefined,
    buffer: 0,
    ...changes,
  };
}

function operator(code: string, inputs: readonly LintTensor[], outputs: readonly LintTensor[]): LintOperator {
  return { code, codeIndex: 0, version: 1, inputs, outputs, options: undefined, where: 'y' };
}

/** The next f32 towards 0. */
const below = (value: number) => value * (1 - 2 ** -24);

describe('scales that XNNPACK takes', () => {
  const one = tensor(1);
  const ofSum = (ratio: number) => ratioProblem(operator('ADD', [tensor(ratio), one], [one]));
  const ofProduct = (ratio: number) => ratioProblem(operator('MUL', [tensor(ratio), one], [one]));
  const ofConversion = (ratio: number) => ratioProblem(operator('QUANTIZE', [tensor(ratio)], [one]));
  const ofLinear = (ratio: number) => requantizationProblem(operator('FULLY_CONNECTED', [one, tensor(ratio)], [one]));

  test.each([
    ['of a sum begin at 2^-10', ofSum, 2 ** -10, below(2 ** -10)],
    ['of a sum end below 2^8', ofSum, below(2 ** 8), 2 ** 8],
    ['of a product begin at 2^-16', ofProduct, 2 ** -16, below(2 ** -16)],
    ['of a product end below 2^8', ofProduct, below(2 ** 8), 2 ** 8],
    ['of a conversion begin at 2^-8', ofConversion, 2 ** -8, below(2 ** -8)],
    ['of a conversion end at 2^7', ofConversion, 2 ** 7, 2 ** 7 * (1 + 2 ** -23)],
    ['of a linear end below 2^8', ofLinear, below(2 ** 8), 2 ** 8],
  ])('%s', (_, problemOf, last, first) => {
    expect(problemOf(last)).toBeNull();
    expect(problemOf(first)).toMatch(/outside|builds kernels below/);
  });

  test('are normal numbers of f32', () => {
    expect([2 ** -126, 2 ** -127, 0, -1, Number.NaN, Number.POSITIVE_INFINITY].map(isNormal)).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});

describe('sizes that XNNPACK takes', () => {
  const isStatic = () => true;
  const ranked = (rank: number) => tensor(1, { shape: new Array<number>(rank).fill(2) });
  const parts = (count: number) => Array.from({ length: count }, () => tensor(1));

  test.each([
    ['six axes', (rank: number) => operator('TRANSPOSE', [ranked(rank), tensor(1)], [ranked(rank)]), 6],
    ['five parts of a concatenation', (count: number) => operator('CONCATENATION', parts(count), parts(1)), 5],
    ['four parts of a split', (count: number) => operator('SPLIT', parts(2), parts(count)), 4],
  ])('%s, and no more', (_, make, most) => {
    expect(refusal(make(most), isStatic)).toBeNull();
    expect(refusal(make(most + 1), isStatic)).toMatch(`${most + 1}`);
  });

  test.each([
    [32, true],
    [48, false],
    [64, true],
  ])('blocks of %d: %s', (size, isTaken) => {
    const weight = tensor(1, { type: 'INT4', shape: [4, 192], block: { scales: undefined, size } });
    const linear = operator(
      'FULLY_CONNECTED',
      [tensor(1, { type: 'FLOAT32', scales: new Float32Array() }), weight],
      [tensor(1, { type: 'FLOAT32', scales: new Float32Array() })],
    );
    expect(refusal(linear, isStatic) === null).toBe(isTaken);
  });
});

describe('the scale of a bias', () => {
  test.each([
    [1 + 8e-6, 0],
    [1 - 8e-6, 0],
    [1 + 2e-5, 1],
    [1 - 2e-5, 1],
  ])('may differ from s_x·s_w by 10^-5: times %d', async (factor, count) => {
    const file = new Changes(await goodFile());
    const { scale } = file.quantization('up.bias');
    if (scale) scale[2] = (scale[2] as number) * factor;
    const found = lint(tfliteRules, readTfliteModel(file.bytes(), 'm')).filter(({ rule }) => rule === 'bias-scales');
    expect(found.length).toBe(count);

    const onnx = new OnnxChanges(staticModel());
    onnx.setElement('head.bias/scale', 2, (readF32(onnx.tensor('head.bias/scale'))[2] as number) * factor);
    const inOnnx = await withFile(onnx.model, (path) => opened(path, (model) => lint(onnxRules, model)));
    expect(inOnnx.filter(({ rule }) => rule === 'bias-scales').length).toBe(count);
  });
});

test.each([
  [65504, 0],
  [-65504, 0],
  [65505, 1],
  [Number.NaN, 1],
])('a file that may run in f16 holds %d: %d findings', async (value, count) => {
  const file = new Changes(await bytesOf(floatLayer()));
  file.model.metadata?.push({ name: 'reduced_precision_support', buffer: 0 });
  new DataView(file.data('least').buffer).setFloat32(0, value, true);
  const found = lint(tfliteRules, readTfliteModel(file.bytes(), 'm')).filter(({ rule }) => rule === 'f16-overflow');
  expect(found.length).toBe(count);
});
