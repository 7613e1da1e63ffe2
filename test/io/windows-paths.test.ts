import { expect, test, vi } from 'vitest';

/** What is tested here takes paths apart by node:path, which is that of Windows in this file. */
vi.mock('node:path', async (importOriginal) => {
  const { win32 } = await importOriginal<typeof import('node:path')>();
  return { ...win32, default: win32 };
});

const { siblingPath } = await import('../../src/io/files.ts');
const { targetOf, writePlans } = await import('../../src/pipelines/write/plans.ts');

test.each([
  ['C:\\models\\m.onnx', 'C:\\models\\m.onnx.data'],
  ['C:/models/m.onnx', 'C:\\models\\m.onnx.data'],
  ['\\\\server\\share\\m.onnx', '\\\\server\\share\\m.onnx.data'],
  ['models\\m.onnx', 'models\\m.onnx.data'],
  ['m.onnx', 'm.onnx.data'],
])('what lies beside %s is %s', (model, beside) => {
  expect(siblingPath(model, 'm.onnx.data')).toBe(beside);
});

test.each(['..\\m.data', '..', 'a\\b', 'a/b', '\\m.data', 'D:m.data', 'D:\\m.data', '\\\\server\\share\\m.data'])(
  '%s is not beside a model',
  (name) => {
    expect(() => siblingPath('C:\\models\\m.onnx', name)).toThrow("leaves the model's folder");
  },
);

test.each([
  ['out\\m.tflite', 'tflite'],
  ['C:\\out.v2\\m.ONNX', 'onnx'],
  ['C:\\out.v2\\models', undefined],
  ['C:\\out.v2\\', undefined],
  ['out.v2/', undefined],
] as const)('-o %s is written as %s', (path, target) => {
  expect(targetOf(path)).toBe(target);
});

test('a folder that ends in a backslash gets both files', () => {
  expect(writePlans('C:\\out.v2\\').map(({ path }) => path)).toEqual([
    'C:\\out.v2\\model.tflite',
    'C:\\out.v2\\model.onnx',
  ]);
});
