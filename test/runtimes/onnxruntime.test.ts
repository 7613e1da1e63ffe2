import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import onnxProto from 'onnx-proto';
import { describe, expect, test } from 'vitest';
import { convertTensor, type DType, integerTensor, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { onnxruntime } from '../../src/runtimes/onnxruntime.ts';
import { largestError, readOracle, row } from './oracle.ts';

const oracle = readOracle('mini-onnx-qa');
const path = oracle.path('model.onnx');

const { DataType } = onnxProto.onnx.TensorProto;

/** `y = x` of one element type and an unnamed dimension. */
function identityModel(elemType: number): Uint8Array {
  const value = (name: string) => ({ name, type: { tensorType: { elemType, shape: { dim: [{}, { dimValue: 2 }] } } } });
  return onnxProto.onnx.ModelProto.encode({
    irVersion: 8,
    opsetImport: [{ version: 17 }],
    graph: {
      name: 'g',
      node: [{ opType: 'Identity', input: ['x'], output: ['y'] }],
      input: [value('x')],
      output: [value('y')],
    },
  }).finish();
}

describe('onnxruntime', () => {
  test.each([true, false])(
    'answers what ONNX Runtime in Python answers, graph optimization %s',
    async (graphOptimization) => {
      const session = await onnxruntime.load(path, { graphOptimization, threads: 1 });
      const outputs = await session.run(oracle.inputs);
      expect([...outputs.keys()]).toEqual(['start_logits', 'end_logits']);
      for (const [name, actual] of outputs) {
        for (const key of [name, `float_${name}`]) {
          const { values, tolerance } = oracle.expected.get(key) ?? expect.unreachable(key);
          expect(actual).toMatchObject({ dtype: 'f32', shape: [4, 32] });
          expect(largestError(actual, values)).toBeLessThanOrEqual(tolerance);
        }
      }
      await session.close();
      await session.close();
    },
  );

  test('describes inputs and outputs with their symbols', async () => {
    const session = await onnxruntime.load(path);
    expect(session.inputs).toEqual([
      { name: 'input_ids', dtype: 'i64', shape: ['batch', 'seq'] },
      { name: 'attention_mask', dtype: 'i64', shape: ['batch', 'seq'] },
      { name: 'token_type_ids', dtype: 'i64', shape: ['batch', 'seq'] },
    ]);
    expect(session.outputs).toEqual([
      { name: 'start_logits', dtype: 'f32', shape: ['batch', 'seq'] },
      { name: 'end_logits', dtype: 'f32', shape: ['batch', 'seq'] },
    ]);
    await session.close();
  });

  test('takes bytes, 32-bit ids, and returns only the wanted outputs', async () => {
    const session = await onnxruntime.load(readFileSync(path));
    const narrow = new Map([...oracle.inputs].map(([name, tensor]) => [name, convertTensor(row(tensor, 1), 'i32')]));
    const outputs = await session.run(narrow, ['end_logits']);
    expect([...outputs.keys()]).toEqual(['end_logits']);
    const { values, tolerance } = oracle.expected.get('end_logits') ?? expect.unreachable();
    expect(largestError(outputs.get('end_logits'), row(values, 1))).toBeLessThanOrEqual(tolerance);
    await session.close();
  });

  test.each<[DType, number, Tensor]>([
    ['f64', DataType.DOUBLE, tensorOf('f64', [1, 2], Float64Array.of(0.1, -2))],
    ['f16', DataType.FLOAT16, tensorOf('f16', [1, 2], Uint16Array.of(0x3c00, 0xc000))],
    ['i64', DataType.INT64, integerTensor('i64', [-1, 2 ** 40], [1, 2])],
    ['i32', DataType.INT32, integerTensor('i32', [-1, 7], [1, 2])],
    ['i8', DataType.INT8, tensorOf('i8', [1, 2], Int8Array.of(-128, 127))],
    ['u8', DataType.UINT8, tensorOf('u8', [1, 2], Uint8Array.of(0, 255))],
    ['bool', DataType.BOOL, tensorOf('bool', [1, 2], Uint8Array.of(1, 0))],
  ])('carries %s tensors both ways', async (dtype, elemType, x) => {
    const session = await onnxruntime.load(identityModel(elemType));
    expect(session.inputs).toEqual([{ name: 'x', dtype, shape: ['?', 2] }]);
    const y = (await session.run(new Map([['x', x]]))).get('y');
    expect(y).toMatchObject({ dtype, shape: [1, 2] });
    expect([...(y as Tensor).bytes()]).toEqual([...x.bytes()]);
    await session.close();
  });

  test('refuses a type that mbert has no tensors of', async () => {
    await expect(onnxruntime.load(identityModel(DataType.STRING), { name: 'm.onnx' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: 'm.onnx: input x: is string',
    });
  });

  test('writes the optimized graph where it is asked to', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mbert-'));
    try {
      const optimizedModelPath = join(folder, 'optimized.onnx');
      const session = await onnxruntime.load(path, { optimizedModelPath });
      await session.close();
      expect(existsSync(optimizedModelPath)).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('says its version', async () => {
    expect(await onnxruntime.version()).toMatch(/^\d+\.\d+\.\d+$/);
  });
});

describe('onnxruntime refuses', () => {
  const good = oracle.inputs;
  const ids = good.get('input_ids') as Tensor;
  test.each<[string, Map<string, Tensor>, string]>([
    [
      'a missing input',
      new Map([...good].filter(([name]) => name !== 'input_ids')),
      'model: input input_ids: is not given',
    ],
    [
      'a foreign input',
      new Map([...good, ['position_ids', ids]]),
      'model: input position_ids: the model has none of this name',
    ],
    [
      'another rank',
      new Map([...good, ['input_ids', row(ids, 0)], ['attention_mask', integerTensor('i64', [1])]]),
      'model: input attention_mask: is i64[batch, seq], not i64[1]',
    ],
    [
      'another dtype',
      new Map([...good, ['input_ids', convertTensor(ids, 'f32')]]),
      'model: input input_ids: is i64, not f32',
    ],
  ])('%s', async (_, feeds, message) => {
    const session = await onnxruntime.load(readFileSync(path));
    await expect(session.run(feeds)).rejects.toMatchObject({ code: 'MISMATCH', message });
    await session.close();
  });

  test('ids outside the vocabulary, and runs again afterwards', async () => {
    const session = await onnxruntime.load(path);
    const bad = new Map([...good, ['input_ids', integerTensor('i64', new Array(128).fill(120), [4, 32])]]);
    await expect(session.run(bad)).rejects.toMatchObject({
      code: 'MISMATCH',
      message: expect.stringContaining('indices element out of data bounds'),
    });
    expect((await session.run(good)).size).toBe(2);
    await session.close();
  });

  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['junk', Buffer.from('no model at all, but long enough')],
    ['half a file', readFileSync(path).subarray(0, 100_000)],
  ])('%s', async (_, bytes) => {
    await expect(onnxruntime.load(bytes, { name: 'm.onnx' })).rejects.toMatchObject({
      code: 'MALFORMED',
      message: expect.stringMatching(/^m\.onnx: ONNX Runtime refuses it: /),
    });
  });

  test('a file that is not there', async () => {
    await expect(onnxruntime.load('nowhere/m.onnx')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
