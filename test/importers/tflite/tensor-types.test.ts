import { describe, expect, test } from 'vitest';
import { graphText } from '../../../src/ir/text.ts';
import { importBytes, modelOf, type TensorRow } from './models.ts';

const f = (shape: readonly number[], data?: Float32Array): TensorRow => ({ shape, ...(data && { data }) });

describe('the shape that a file gives a result', () => {
  const relu = (y: TensorRow) =>
    importBytes(modelOf({ x: f([1, 2, 2]), y }, [{ op: 'RELU', inputs: ['x'], outputs: ['y'] }]));

  test('is the one that its operator makes', async () => {
    expect(graphText((await relu(f([1, 2, 2]))).graph)).toContain('y = relu(x)  f32[1, 2, 2]');
  });

  test.each([[[1, 2, 3]], [[1, 2]], [[1, 2, 2, 1]], [[1, 4, 1]]])('or the file is refused: %j', async (shape) => {
    await expect(relu(f(shape))).rejects.toMatchObject({
      code: 'MALFORMED',
      message: `model.tflite: y: is [${shape.join(', ')}], its inputs make [1, 2, 2]`,
    });
  });

  test('may leave a size to the run, which the operator knows', async () => {
    expect(graphText((await relu({ shape: [1, 2, 2], signature: [-1, 2, 2] })).graph)).toContain('y = relu(x)');
  });

  test.each([
    [8, true],
    [9, false],
  ])('has %d axes: read %s', async (rank, isRead) => {
    const shape = new Array<number>(rank).fill(1);
    const read = importBytes(modelOf({ x: f(shape), y: f(shape) }, [{ op: 'RELU', inputs: ['x'], outputs: ['y'] }]));
    await (isRead ? expect(read).resolves.toBeDefined() : expect(read).rejects.toMatchObject({ code: 'MALFORMED' }));
  });
});

describe('weights in blocks', () => {
  /** A linear of 4 by 64 weights of 8 bits in blocks of 32; `zeroPoints` is a tensor's index. */
  const weights = (
    zeroPoints: number,
    changes: { blockSize?: number; scales?: number; zeros?: readonly number[] } = {},
  ) => {
    const { blockSize = 32, scales = 8, zeros = [0, 0, 0, 0, 0, 0, 0, 1] } = changes;
    return importBytes(
      modelOf(
        {
          x: f([1, 64]),
          s: f([scales], new Float32Array(scales).fill(0.5)),
          z: { shape: [zeros.length], data: Int32Array.from(zeros) },
          w: {
            type: 'INT8',
            shape: [4, 64],
            data: new Int8Array(256).fill(3),
            quantization: { details: { kind: 'BlockwiseQuantization', value: { scales: 1, zeroPoints, blockSize } } },
          },
          y: f([1, 4]),
        },
        [{ op: 'FULLY_CONNECTED', inputs: ['x', 'w'], outputs: ['y'] }],
      ),
    );
  };
  const quantOf = async (read: ReturnType<typeof weights>) =>
    (await read).graph.nodes().find(({ name }) => name === 'w')?.type.quant;

  test.each([0, -1])('are symmetric where the zero points are tensor %d: 0 is an input of the graph', async (at) => {
    const quant = await quantOf(weights(at));
    expect(quant).toMatchObject({ per: 'block', axis: 1, size: 32 });
    expect(quant).not.toHaveProperty('zeroPoints');
  });

  test('have zero points where a tensor holds them', async () => {
    expect(await quantOf(weights(2))).toMatchObject({ zeroPoints: Int32Array.of(0, 0, 0, 0, 0, 0, 0, 1) });
  });

  test.each([
    ['of a size that does not divide a row', [0, { blockSize: 48 }], 'blocks of 48 do not go with [4,64]'],
    ['of no size', [0, { blockSize: 0 }], 'blocks of 0 do not go with [4,64]'],
    ['with too few scales', [0, { scales: 7 }], '7 scales do not go with blocks of 32'],
    ['with too few zero points', [2, { zeros: [0] }], 'scales and zero points differ in number'],
  ] as const)('are refused %s', async (_, [zeroPoints, changes], problem) => {
    await expect(weights(zeroPoints, changes)).rejects.toMatchObject({
      code: 'MALFORMED',
      message: `model.tflite: w: ${problem}`,
    });
  });
});

describe('scales', () => {
  const typed = (quantization: NonNullable<TensorRow['quantization']>) =>
    importBytes(
      modelOf(
        {
          x: f([1, 2]),
          w: { type: 'INT8', shape: [2, 2], data: Int8Array.of(1, 2, 3, 4), quantization },
          y: f([1, 2]),
        },
        [{ op: 'FULLY_CONNECTED', inputs: ['x', 'w'], outputs: ['y'] }],
      ),
    );
  const weightOf = async (read: ReturnType<typeof typed>) =>
    (await read).graph.nodes().find(({ name }) => name === 'w')?.type.quant;

  test('may come without zero points', async () => {
    expect(await weightOf(typed({ scale: Float32Array.of(0.5), zeroPoint: [] }))).toEqual({
      per: 'tensor',
      scale: 0.5,
      zeroPoint: 0,
    });
  });

  test('belong to the axis that the file says', async () => {
    const scale = Float32Array.of(0.5, 0.25);
    expect(await weightOf(typed({ scale, zeroPoint: [0, 0], quantizedDimension: 1 }))).toEqual({
      per: 'channel',
      axis: 1,
      scales: scale,
    });
    expect(await weightOf(typed({ scale, zeroPoint: [0, 3] }))).toMatchObject({ zeroPoints: Int32Array.of(0, 3) });
  });

  test.each([
    [{ scale: Float32Array.of(0.5, 0.5), zeroPoint: [0] }, '2 scales do not go with 1 zero points'],
    [{ scale: Float32Array.of(0), zeroPoint: [0] }, 'a scale or zero point is out of range'],
    [{ scale: Float32Array.of(-1), zeroPoint: [0] }, 'a scale or zero point is out of range'],
    [{ scale: Float32Array.of(Number.POSITIVE_INFINITY), zeroPoint: [0] }, 'a scale or zero point is out of range'],
    [{ scale: Float32Array.of(1), zeroPoint: [2 ** 31] }, 'a scale or zero point is out of range'],
    [
      { scale: Float32Array.of(1, 1), zeroPoint: [0, 0], quantizedDimension: 2 },
      '2 scales do not go with axis 2 of [2,2]',
    ],
  ])('%j are refused', async (quantization, problem) => {
    await expect(typed(quantization)).rejects.toMatchObject({
      code: 'MALFORMED',
      message: `model.tflite: w: ${problem}`,
    });
  });

  test('of what is computed from integers without scales are refused', async () => {
    const padded = (quantization: NonNullable<TensorRow['quantization']> | undefined) =>
      importBytes(
        modelOf(
          {
            x: { type: 'INT8', shape: [1, 2], ...(quantization && { quantization }) },
            pads: { shape: [2, 2], data: Int32Array.of(0, 0, 1, 0) },
            y: { type: 'INT8', shape: [1, 3], quantization: { scale: Float32Array.of(0.5), zeroPoint: [0] } },
          },
          [{ op: 'PAD', inputs: ['x', 'pads'], outputs: ['y'] }],
        ),
      );
    expect((await padded({ scale: Float32Array.of(0.5), zeroPoint: [0] })).graph.outputs).toHaveLength(1);
    await expect(padded(undefined)).rejects.toMatchObject({
      code: 'MALFORMED',
      message: 'model.tflite: y: has a scale, but is computed from integers that have none',
    });
  });
});
