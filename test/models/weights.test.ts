import { describe, expect, test } from 'vitest';
import { convertTensor, readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { buildModel } from '../../src/models/index.ts';
import { underTorchNames } from '../../src/models/names/index.ts';
import { finiteTensor, isZero } from '../../src/models/values.ts';
import { openWeights } from '../../src/models/weights.ts';
import { changed, openCheckpoint, zeros } from './corpus.ts';

const DYNAMIC = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;
const QUERY = 'mobilebert.encoder.layer.0.attention.self.query';

async function refusal(weights: Readonly<Record<string, Tensor | undefined>>) {
  const checkpoint = await openCheckpoint('hf-qa');
  try {
    return buildModel(changed(checkpoint, weights), DYNAMIC).warnings;
  } catch (error) {
    const { message, hint } = error as { message: string; hint?: string };
    return { lines: message.replaceAll('fixtures/hf-qa/model.safetensors: ', '').split('\n'), hint };
  } finally {
    checkpoint.close();
  }
}

describe('weights that do not fit are refused', () => {
  test('all at once, a line each', async () => {
    expect(
      await refusal({
        [`${QUERY}.weight`]: zeros([32, 31]),
        [`${QUERY}.bias`]: undefined,
        'qa_outputs.weight': zeros([64, 2]),
        'mobilebert.embeddings.LayerNorm.bias': tensorOf('i32', [64], new Int32Array(64)),
      }),
    ).toEqual({
      lines: [
        `${QUERY}.bias: the weight is missing`,
        'mobilebert.embeddings.LayerNorm.bias: is i32, but weights are floats',
        `${QUERY}.weight: has shape [32, 31], the config implies [32, 32]`,
        'qa_outputs.weight: has shape [64, 2], the config implies [2, 64]: it looks transposed',
      ],
      hint: undefined,
    });
  });

  test('with the name under which the missing one may be found', async () => {
    expect(await refusal({ [`${QUERY}.bias`]: undefined, [`${QUERY}_bias`]: zeros([32]) })).toEqual({
      lines: [`${QUERY}.bias: the weight is missing`],
      hint: `${QUERY}_bias is unused and has the shape of ${QUERY}.bias: was it renamed?; the file has unexpected ${QUERY}_bias`,
    });
  });

  test('without counting up a thousand of them', async () => {
    const checkpoint = await openCheckpoint('hf-qa-deep');
    const tensors = new Map([...checkpoint.tensors].map(([name, { shape }]) => [name, zeros([...shape, 1])]));
    expect(() => buildModel({ ...checkpoint, tensors }, DYNAMIC)).toThrow(/(.*\n){8}and \d{3} more problems$/);
    checkpoint.close();
  });

  test('and many missing ones are one line', async () => {
    const checkpoint = await openCheckpoint('hf-qa');
    const tensors = new Map([...checkpoint.tensors].filter(([name]) => !name.includes('.output.dense.')));
    expect(() => buildModel({ ...checkpoint, tensors }, DYNAMIC)).toThrow(
      /^[^\n]*mobilebert\.encoder\.layer\.0\.attention\.output\.dense\.weight, .* and 23 more: these weights are missing$/,
    );
    checkpoint.close();
  });
});

test('weights that are left over are named in a warning, buffers are not', async () => {
  const extra = { 'optimizer.step': zeros([]), 'mobilebert.embeddings.position_ids': zeros([1, 64]) };
  expect(await refusal(extra)).toEqual([
    'fixtures/hf-qa/model.safetensors: optimizer.step: unused, the model does not need it',
  ]);
});

test('weights keep the type that they are stored in, except eight-byte floats', async () => {
  const checkpoint = await openCheckpoint('hf-qa');
  const tensors = new Map([
    ['half', convertTensor(zeros([2]), 'f16')],
    ['double', tensorOf('f64', [2], Float64Array.of(1, 2))],
  ]);
  const weights = openWeights(underTorchNames({ ...checkpoint, tensors }));
  expect(weights.take('half', [2]).dtype).toBe('f16');
  const double = weights.take('double', [2]);
  expect([double.dtype, ...readF32(double)]).toEqual(['f32', 1, 2]);
  checkpoint.close();
});

describe('values', () => {
  const f32 = (...values: number[]) => tensorOf('f32', [values.length], Float32Array.from(values));
  const f16 = (...words: number[]) => tensorOf('f16', [words.length], Uint16Array.from(words));
  const bf16 = (...words: number[]) => tensorOf('bf16', [words.length], Uint16Array.from(words));

  test.each<[what: string, tensor: Tensor, counts: string]>([
    ['NaN', f32(1, Number.NaN, 2), '1 NaN of 3'],
    ['infinities', f32(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY), '2 infinite of 2'],
    ['both', f32(Number.NaN, Number.POSITIVE_INFINITY, 0), '1 NaN and 1 infinite of 3'],
    ['NaN with the sign set', tensorOf('f32', [1], Uint32Array.of(0xffc00001)), '1 NaN of 1'],
    ['f16', f16(0x7c00, 0xfc00, 0x7e00, 0x3c00), '1 NaN and 2 infinite of 4'],
    ['bf16', bf16(0x7f80, 0xff80, 0xffc0, 0x3f80), '1 NaN and 2 infinite of 4'],
  ])('are refused when read: %s', (_, tensor, counts) => {
    const checked = finiteTensor('m: w', tensor);
    expect(() => checked.bytes()).toThrow(`m: w: ${counts} values`);
    expect(() => checked.bytes()).toThrow(`m: w: ${counts} values`);
  });

  test.each<[what: string, tensor: Tensor]>([
    ['the largest f32', f32(3.4028234663852886e38, -3.4028234663852886e38, -0, 1e-45)],
    ['the largest f16', f16(0x7bff, 0xfbff, 0x8000, 1)],
    ['the largest bf16', bf16(0x7f7f, 0xff7f, 0x8000, 1)],
    ['integers that look like infinity', tensorOf('i32', [1], Int32Array.of(0x7f800000))],
    ['an empty tensor', f32()],
  ])('that are finite pass: %s', (_, tensor) => {
    expect(finiteTensor('m: w', tensor).bytes()).toEqual(tensor.bytes());
  });

  test.each<[what: string, tensor: Tensor, zero: boolean]>([
    ['zeros of both signs', f32(0, -0), true],
    ['half zeros of both signs', f16(0, 0x8000), true],
    ['the smallest f32', f32(0, 1e-45), false],
    ['the smallest f16', f16(0, 1), false],
    ['a lowest byte that looks like a sign', f32(2 ** -142), false],
    ['the least integer', tensorOf('i32', [1], Int32Array.of(-(2 ** 31))), false],
    ['an empty tensor', f32(), true],
  ])('zero or not: %s', (_, tensor, zero) => {
    expect(isZero(tensor)).toBe(zero);
  });
});
