import { describe, expect, test } from 'vitest';
import { isNewer, minimalVersion } from '../../src/exporters/tflite/versions.ts';
import type { TensorType } from '../../src/ir/tensor.ts';
import { modelOf } from './tflite-lab.ts';

describe('a release', () => {
  test.each([
    ['2.10.0', '2.9.0'],
    ['2.9.1', '2.9'],
    ['3', '2.19.9'],
    ['2.0.1', '2'],
  ])('%s is newer than %s, not the other way round', (a, b) => {
    expect([isNewer(a, b), isNewer(b, a)]).toEqual([true, false]);
  });

  test.each([
    ['2.9', '2.9.0'],
    ['2', '2.0.0'],
  ])('%s is %s', (a, b) => {
    expect([isNewer(a, b), isNewer(b, a)]).toEqual([false, false]);
  });
});

describe('min_runtime_version', () => {
  async function runtimeOf(lines: string): Promise<string> {
    const { metadata, buffers } = await modelOf(`graph g (x: f32[2, 3])\n${lines}\nreturn o: y`);
    const entry = metadata?.find(({ name }) => name === 'min_runtime_version');
    const bytes = buffers?.[entry?.buffer ?? 0]?.data ?? new Uint8Array();
    expect(bytes).toHaveLength(16);
    return Buffer.from(bytes).toString('latin1').replace(/\0+$/, '');
  }

  test.each([
    ['the oldest that reads such files', 'y = relu(x)', '1.5.0'],
    ['that of the newest operator', 'y = gelu(x)', '2.9.0'],
    ['that of the newest operator, where older ones follow', 'a = gelu(x)\n  y = relu(a)', '2.9.0'],
    ['that of the newest operator, where older ones come first', 'a = relu(x)\n  y = gelu(a)', '2.9.0'],
    [
      'that of a newer form',
      'a = quantize(x)  i8[2, 3] q(0.1, 0)\n  b = relu(a)  i8[2, 3] q(0.1, 0)\n  y = dequantize(b)',
      '2.1.0',
    ],
  ])('is %s', async (_, lines, release) => {
    expect(await runtimeOf(lines)).toBe(release);
  });
});

describe('the version of an operator', () => {
  const type = (dtype: TensorType['dtype'], rank = 2, scale?: number): TensorType => ({
    dtype,
    shape: new Array<number>(rank).fill(2),
    ...(scale !== undefined && { quant: { per: 'tensor', scale, zeroPoint: 0 } }),
  });
  const versionOf = (code: string, inputs: readonly TensorType[], output = inputs[0] as TensorType) =>
    minimalVersion(code, { inputs, outputs: [output], options: undefined });

  test('is that of a product whose scale shrinks less than an integer multiplier can', () => {
    const [a, b] = [type('i8', 2, 0.5), type('i8', 2, 0.5)];
    expect(versionOf('MUL', [a, b], type('i8', 2, 0.26))).toBe(2);
    expect(versionOf('MUL', [a, b], type('i8', 2, 0.25))).toBe(3);
  });

  test.each([
    ['SLICE', 4, 1],
    ['SLICE', 5, 5],
    ['STRIDED_SLICE', 4, 1],
    ['STRIDED_SLICE', 5, 4],
    ['TRANSPOSE', 4, 1],
    ['TRANSPOSE', 5, 4],
    ['TRANSPOSE', 6, 6],
    ['PAD', 4, 1],
    ['PAD', 5, 4],
  ])('%s of rank %d', (code, rank, version) => {
    expect(versionOf(code, [type('f32', rank)])).toBe(version);
  });

  test('of a sum that repeats one operand rises above four axes only', () => {
    const other = { ...type('f32', 5), shape: [1, 2, 2, 2, 2] };
    expect(versionOf('SUB', [type('f32', 5), other])).toBe(3);
    expect(versionOf('SUB', [type('f32', 5), type('f32', 5)])).toBe(1);
    expect(versionOf('SUB', [type('f32', 4), { ...type('f32', 4), shape: [1, 2, 2, 2] }])).toBe(1);
  });

  test('is unknown of operators that are not written', () => {
    expect(versionOf('LSTM', [type('f32')])).toBeNull();
    expect(versionOf('toString', [type('f32')])).toBeNull();
  });
});
