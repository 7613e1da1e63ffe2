import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import onnxProto from 'onnx-proto';
import * as ort from 'onnxruntime-node';
import { afterAll, describe, expect, test } from 'vitest';
import type { OnnxInitializer, OnnxModel } from '../../src/formats/onnx.ts';
import { encodeOnnx } from '../../src/formats/onnx-encode.ts';
import { type OutputFile, writeFiles } from '../../src/io/files.ts';
import { integerTensor, type Tensor, tensorOf } from '../../src/ir/tensor.ts';

const { onnx } = onnxProto;
const folder = mkdtempSync(join(tmpdir(), 'mbert-onnx-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** y = x · weight + bias, then reshaped to [batch, 2, 32]: 16 kB of weight, 256 bytes of bias, 24 bytes of shape. */
const weight = tensorOf(
  'f32',
  [64, 64],
  Float32Array.from({ length: 4096 }, (_, i) => Math.sin(i)),
);
const bias = tensorOf(
  'f32',
  [64],
  Float32Array.from({ length: 64 }, (_, i) => i / 64),
);

function modelOf(initializers: readonly OnnxInitializer[]): OnnxModel {
  return {
    irVersion: 8,
    opset: 17,
    producerName: 'mbert',
    producerVersion: '1.2.3',
    properties: { task: 'question-answering', ünïcode: '✓' },
    graphName: 'tiny',
    inputs: [{ name: 'x', dtype: 'f32', shape: ['batch', 64] }],
    outputs: [{ name: 'y', dtype: 'f32', shape: ['batch', 2, 32] }],
    nodes: [
      {
        name: 'gemm',
        op: 'Gemm',
        inputs: ['x', 'weight', 'bias'],
        outputs: ['product'],
        attributes: { alpha: { float: 1 } },
      },
      {
        name: 'reshape',
        op: 'Reshape',
        inputs: ['product', 'shape'],
        outputs: ['y'],
        attributes: { allowzero: { int: 0 } },
      },
    ],
    initializers,
  };
}

const tiny = modelOf([
  { name: 'weight', tensor: weight },
  { name: 'bias', tensor: bias },
  { name: 'shape', tensor: integerTensor('i64', [-1, 2, 32]) },
]);

async function bytesOf(file: OutputFile | undefined): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  if (file) for await (const chunk of file.chunks) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

async function run(session: ort.InferenceSession): Promise<readonly number[]> {
  const x = new ort.Tensor(
    'float32',
    Float32Array.from({ length: 128 }, (_, i) => Math.cos(i)),
    [2, 64],
  );
  const { y } = await session.run({ x });
  await session.release();
  expect(y?.dims).toEqual([2, 2, 32]);
  return Array.from(y?.data as Float32Array);
}

/** x · weight + bias in plain loops. */
function expected(): number[] {
  const w = new Float32Array(weight.bytes().buffer);
  const b = new Float32Array(bias.bytes().buffer);
  return Array.from({ length: 128 }, (_, at) => {
    let sum = b[at % 64] as number;
    for (let k = 0; k < 64; k++)
      sum += Math.fround(Math.cos(Math.floor(at / 64) * 64 + k)) * (w[k * 64 + (at % 64)] as number);
    return sum;
  });
}

function expectClose(actual: readonly number[], wanted: readonly number[]): void {
  expect(actual.length).toBe(wanted.length);
  actual.forEach((value, i) => {
    expect(value).toBeCloseTo(wanted[i] as number, 4);
  });
}

/** A tensor of this many bytes that counts how often it is read and has nothing to give. */
function hollow(bytes: number): { tensor: Tensor; reads: () => number } {
  let reads = 0;
  const tensor: Tensor = {
    dtype: 'u8',
    shape: [bytes],
    bytes() {
      reads++;
      return new Uint8Array(0);
    },
  };
  return { tensor, reads: () => reads };
}

describe('one file', () => {
  test('decodes to the same model', async () => {
    const [file, ...rest] = encodeOnnx(tiny, { fileName: 'm.onnx' });
    expect(rest).toEqual([]);
    expect(file?.name).toBe('m.onnx');
    const decoded = onnx.ModelProto.toObject(onnx.ModelProto.decode(await bytesOf(file)), {
      longs: Number,
      enums: String,
      bytes: String,
    });
    decoded['graph'].initializer.forEach((tensor: { rawData: string }, i: number) => {
      expect(Buffer.from(tensor.rawData, 'base64')).toEqual(
        Buffer.from(tiny.initializers[i]?.tensor.bytes() as Uint8Array),
      );
      tensor.rawData = `${tensor.rawData.length} characters`;
    });
    await expect(`${JSON.stringify(decoded, null, 1)}
`).toMatchFileSnapshot('golden/onnx-encode.json');
  });

  test('loads and runs', async () => {
    const [file] = encodeOnnx(tiny, { fileName: 'm.onnx' });
    expectClose(await run(await ort.InferenceSession.create(await bytesOf(file))), expected());
  });

  test('is the same on every run', async () => {
    const [first] = encodeOnnx(tiny, { fileName: 'm.onnx' });
    const [second] = encodeOnnx(tiny, { fileName: 'm.onnx' });
    expect(await bytesOf(first)).toEqual(await bytesOf(second));
  });

  test('asks each tensor for its bytes once, when its chunk is due, and passes them on uncopied', async () => {
    let reads = 0;
    const counted: Tensor = {
      ...weight,
      bytes() {
        reads++;
        return weight.bytes();
      },
    };
    const [file] = encodeOnnx(modelOf([{ name: 'weight', tensor: counted }]), { fileName: 'm.onnx' });
    expect(reads).toBe(0);
    const chunks: Uint8Array[] = [];
    if (file) for await (const chunk of file.chunks) chunks.push(chunk);
    expect(reads).toBe(1);
    expect(chunks.at(-1)?.buffer).toBe(weight.bytes().buffer);
  });

  test('refuses a tensor whose bytes do not fill its shape', async () => {
    const [file] = encodeOnnx(modelOf([{ name: 'short', tensor: hollow(8).tensor }]), { fileName: 'm.onnx' });
    await expect(bytesOf(file)).rejects.toMatchObject({
      code: 'INVALID_GRAPH',
      message: 'short: tensor: gave 0 bytes instead of 8',
    });
  });
});

describe('external data', () => {
  test('is read by the runtime from beside the model', async () => {
    await writeFiles(folder, each(encodeOnnx(tiny, { fileName: 'tiny.onnx', externalData: true })));
    expectClose(await run(await ort.InferenceSession.create(join(folder, 'tiny.onnx'))), expected());
  });

  test('holds tensors of 1 KiB and more; large ones start on a page, others on a cache line', async () => {
    const big = tensorOf('u8', [2 ** 20], new Uint8Array(2 ** 20).fill(7));
    const small = tensorOf('u8', [1025], new Uint8Array(1025).fill(3));
    const tail = tensorOf('u8', [1024], new Uint8Array(1024).fill(5));
    const inline = tensorOf('u8', [1023], new Uint8Array(1023).fill(9));
    const tensors = { small, tail, big, inline };
    const initializers = Object.entries(tensors).map(([name, tensor]) => ({ name, tensor }));
    const [file, data] = encodeOnnx(modelOf(initializers), { fileName: 'm.onnx', externalData: true });
    expect(data?.name).toBe('m.onnx.data');
    const { graph } = onnx.ModelProto.decode(await bytesOf(file));
    const entries = (graph?.initializer ?? []).map(({ name, externalData }) => [
      name,
      ...(externalData ?? []).map(({ value }) => value),
    ]);
    expect(entries).toEqual([
      ['small', 'm.onnx.data', '0', '1025'],
      ['tail', 'm.onnx.data', '1088', '1024'],
      ['big', 'm.onnx.data', '4096', '1048576'],
      ['inline'],
    ]);
    const stored = await bytesOf(data);
    expect(stored.length).toBe(4096 + 2 ** 20);
    expect([stored[1024], stored[1025], stored[1088], stored[2111], stored[2112], stored[4095], stored[4096]]).toEqual([
      3, 0, 5, 5, 0, 0, 7,
    ]);
  });

  test('is chosen by itself above 2 GiB, without reading a tensor', () => {
    const half = hollow(2 ** 30);
    const files = encodeOnnx(
      modelOf([
        { name: 'a', tensor: half.tensor },
        { name: 'b', tensor: half.tensor },
      ]),
      { fileName: 'm.onnx' },
    );
    expect(files.map(({ name }) => name)).toEqual(['m.onnx', 'm.onnx.data']);
    expect(half.reads()).toBe(0);
  });

  test('stays away one tensor below that', () => {
    const files = encodeOnnx(modelOf([{ name: 'a', tensor: hollow(2 ** 30).tensor }]), { fileName: 'm.onnx' });
    expect(files.map(({ name }) => name)).toEqual(['m.onnx']);
  });

  test('is not to be forbidden above 2 GiB', () => {
    const model = modelOf([{ name: 'a', tensor: hollow(2 ** 31).tensor }]);
    expect(() => encodeOnnx(model, { fileName: 'm.onnx', externalData: false })).toThrow(
      expect.objectContaining({ code: 'USAGE' }),
    );
  });
});
