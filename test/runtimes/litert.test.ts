import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { convertTensor, integerTensor, readF32, readIntegers, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { litert } from '../../src/runtimes/litert.ts';
import { largestError, readOracle, row } from './oracle.ts';
import { reluModel } from './tiny-tflite.ts';

const oracle = readOracle('mini-tflite-qa');
const path = oracle.path('model.tflite');
const feedsOf = (i: number) => new Map([...oracle.inputs].map(([name, tensor]) => [name, row(tensor, i)]));

describe('litert', () => {
  test('answers what the TensorFlow interpreter answers', async () => {
    const session = await litert.load(path);
    for (let i = 0; i < 4; i++) {
      const outputs = await session.run(feedsOf(i));
      expect([...outputs.keys()]).toEqual(['end_logits', 'start_logits']);
      for (const [name, actual] of outputs) {
        const { values, tolerance } = oracle.expected.get(name) ?? expect.unreachable(name);
        expect(actual).toMatchObject({ dtype: 'f32', shape: [1, 16] });
        expect(largestError(actual, row(values, i))).toBeLessThanOrEqual(tolerance);
      }
    }
    await session.close();
  });

  test('names inputs and outputs by the signature', async () => {
    const session = await litert.load(path);
    expect(session.inputs).toEqual([
      { name: 'attention_mask', dtype: 'i32', shape: [1, 16] },
      { name: 'input_ids', dtype: 'i32', shape: [1, 16] },
      { name: 'token_type_ids', dtype: 'i32', shape: [1, 16] },
    ]);
    expect(session.outputs).toEqual([
      { name: 'end_logits', dtype: 'f32', shape: [1, 16] },
      { name: 'start_logits', dtype: 'f32', shape: [1, 16] },
    ]);
    await session.close();
  });

  test('takes bytes, 64-bit ids, and returns only the wanted outputs', async () => {
    const session = await litert.load(readFileSync(path));
    const wide = new Map([...feedsOf(0)].map(([name, tensor]) => [name, convertTensor(tensor, 'i64')]));
    const outputs = await session.run(wide, ['start_logits']);
    expect([...outputs.keys()]).toEqual(['start_logits']);
    const { values, tolerance } = oracle.expected.get('start_logits') ?? expect.unreachable();
    expect(largestError(outputs.get('start_logits'), row(values, 0))).toBeLessThanOrEqual(tolerance);
    await session.close();
  });

  test('reads the tensor types of a model', async () => {
    for (const dtype of ['f32', 'i32', 'u8'] as const) {
      const session = await litert.load(reluModel([2, 2], dtype));
      expect(session.outputs).toEqual([{ name: 'out', dtype, shape: [2, 2] }]);
      await session.close();
    }
  });

  test('outputs outlive later runs and the session', async () => {
    const session = await litert.load(reluModel([3]));
    const run = async (...values: number[]) =>
      (await session.run(new Map([['in', tensorOf('f32', [3], Float32Array.from(values))]]))).get('out') as Tensor;
    const first = await run(1, 2, 3);
    const second = await run(4, 5, 6);
    await session.close();
    await session.close();
    expect([...readF32(first), ...readF32(second)]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('runs several models side by side', async () => {
    const sessions = await Promise.all([reluModel([1]), reluModel([2])].map((model) => litert.load(model)));
    const sizes = [];
    for (const session of sessions) {
      const shape = session.inputs[0]?.shape as number[];
      const outputs = await session.run(
        new Map([['in', tensorOf('f32', shape, new Float32Array(shape[0] as number).fill(7))]]),
      );
      sizes.push(...readF32(outputs.get('out') as Tensor));
    }
    expect(sizes).toEqual([7, 7, 7]);
    for (const session of sessions) await session.close();
  });

  test('says its version', async () => {
    expect(await litert.version()).toMatch(/^\d+\.\d+\.\d+$/);
  });
});

describe('litert refuses', () => {
  const good = feedsOf(0);
  const ids = good.get('input_ids') as Tensor;
  test.each<[string, Map<string, Tensor>, string]>([
    [
      'a missing input',
      new Map([...good].filter(([name]) => name !== 'input_ids')),
      'model: input input_ids: is not given',
    ],
    [
      'a foreign input',
      new Map([...good, ['input_idz', ids]]),
      'model: input input_idz: the model has none of this name',
    ],
    [
      'another shape',
      new Map([...good, ['input_ids', integerTensor('i32', [1, 2], [1, 2])]]),
      'model: input input_ids: is i32[1, 16], not i32[1, 2]',
    ],
    [
      'another rank',
      new Map([...good, ['input_ids', integerTensor('i32', readIntegers(ids), [16])]]),
      'model: input input_ids: is i32[1, 16], not i32[16]',
    ],
    [
      'another dtype',
      new Map([...good, ['input_ids', convertTensor(ids, 'f32')]]),
      'model: input input_ids: is i32, not f32',
    ],
  ])('%s', async (_, feeds, message) => {
    const session = await litert.load(readFileSync(path));
    await expect(session.run(feeds)).rejects.toMatchObject({ code: 'MISMATCH', message });
    await session.close();
  });

  test('an output that the model does not have, and names a near one', async () => {
    const session = await litert.load(path, { name: 'qa.tflite' });
    await expect(session.run(good, ['end_logit'])).rejects.toMatchObject({
      code: 'MISMATCH',
      hint: 'did you mean end_logits?',
    });
    await session.close();
  });

  test.each<[string, Uint8Array, string, string]>([
    [
      'junk',
      Buffer.from('no model at all, but long enough'),
      'MALFORMED',
      'm.tflite: LiteRT refuses it: Failed to load model from buffer',
    ],
    [
      'half a file',
      readFileSync(path).subarray(0, 75_000),
      'MALFORMED',
      'm.tflite: LiteRT refuses it: Failed to load model from buffer',
    ],
    [
      'an int8 input',
      reluModel([1, 4], 'i8'),
      'UNSUPPORTED',
      'm.tflite: LiteRT refuses it: Element type INT8 is not supported.',
    ],
    [
      'a dynamic shape',
      reluModel([1, -1, 4]),
      'UNSUPPORTED',
      'm.tflite: input in: LiteRT runs fixed shapes only here, this is [1, ?, 4]',
    ],
  ])('%s, and still loads a good model afterwards', async (_, bytes, code, message) => {
    await expect(litert.load(bytes, { name: 'm.tflite' })).rejects.toMatchObject({ code, message });
    const session = await litert.load(path);
    expect(session.inputs).toHaveLength(3);
    await session.close();
  });

  test('a file that is not there', async () => {
    await expect(litert.load('nowhere/m.tflite')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
