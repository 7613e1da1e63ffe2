import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import { bufferContent, decodeFlatbuffer, decodeTflite } from '../../src/formats/tflite/decode.ts';
import { encodeFlatbuffer } from '../../src/formats/tflite/encode.ts';
import { encodeTflite } from '../../src/formats/tflite/file.ts';
import { type Model, modelRoot } from '../../src/formats/tflite/generated/model.ts';
import type { Draft } from '../../src/formats/tflite/table.ts';
import { countedFile } from './memory-file.ts';

const small: Draft<Model> = {
  version: 3,
  description: 'späť',
  operatorCodes: [{ deprecatedBuiltinCode: 9, builtinCode: 'FULLY_CONNECTED', version: 5 }, { builtinCode: '#210' }],
  subgraphs: [
    {
      tensors: [
        {
          shape: [2, 3],
          shapeSignature: [2, -1],
          type: 'INT8',
          buffer: 1,
          name: 'w',
          quantization: { scale: Float32Array.of(0.5, 0.25), zeroPoint: [-3, 2 ** 40], quantizedDimension: 1 },
        },
        { quantization: { details: { kind: 'BlockwiseQuantization', value: { scales: 4, blockSize: 32 } } } },
      ],
      operators: [
        {
          inputs: [0, -1],
          outputs: [1],
          builtinOptions: {
            kind: 'FullyConnectedOptions',
            value: { keepNumDims: true, fusedActivationFunction: 'RELU' },
          },
        },
        { opcodeIndex: 1, builtinOptions: { kind: 'AddOptions', value: { potScaleInt16: false } } },
      ],
    },
  ],
  buffers: [{}, { data: Uint8Array.of(1, 2, 3, 4, 5, 6) }, { offset: 2 ** 33, size: 7 }],
  signatureDefs: [{ signatureKey: 'serving_default', inputs: [{ name: 'x', tensorIndex: 0 }], subgraphIndex: 0 }],
};

test('generated code is what the schemas give', () => {
  const output = execFileSync('node', ['schemas/generate.mjs', '--check'], { encoding: 'utf8' });
  expect(output).toBe('');
});

describe('FlatBuffers', () => {
  test('reads what it writes, with defaults in the place of what was left out', () => {
    const model = decodeFlatbuffer(modelRoot, encodeFlatbuffer(modelRoot, small).bytes, 'm.tflite');
    expect(model).toMatchObject(small);
    expect(model.operatorCodes?.[1]).toMatchObject({ deprecatedBuiltinCode: 0, version: 1, customCode: undefined });
    expect(model.subgraphs?.[0]?.tensors?.[1]).toMatchObject({ type: 'FLOAT32', shape: undefined, isVariable: false });
    expect(model.subgraphs?.[0]?.operators?.[0]?.builtinOptions?.value).toMatchObject({ weightsFormat: 'DEFAULT' });
  });

  test('leaves large weights of a file where they are', () => {
    const weight = new Uint8Array(1_000_000).map((_, i) => i);
    const draft: Draft<Model> = { ...small, buffers: [{}, { data: Uint8Array.of(1, 2, 3) }, { data: weight }] };
    const { file, bytesRead } = countedFile('m.tflite', encodeFlatbuffer(modelRoot, draft).bytes);
    const { buffers } = decodeTflite(file);
    expect(bytesRead()).toBeLessThan(weight.byteLength / 4);
    expect(buffers?.[1]?.data).toEqual(Uint8Array.of(1, 2, 3));
    expect(buffers?.[2]).toMatchObject({ data: undefined, size: weight.byteLength });
    const [none, kept, left] = [0, 1, 2].map((i) => bufferContent(file, buffers?.[i], 'w'));
    expect([none, kept?.isFresh, left?.isFresh]).toEqual([undefined, false, true]);
    expect([kept?.bytes(), left?.bytes()]).toEqual([Uint8Array.of(1, 2, 3), weight]);
  });

  test('writes the same bytes for the same draft', () => {
    const [once, again] = [encodeFlatbuffer(modelRoot, small), encodeFlatbuffer(modelRoot, small)];
    expect(Buffer.compare(once.bytes, again.bytes)).toBe(0);
  });

  test('reads a file of TensorFlow 2.18', () => {
    const model = decodeFlatbuffer(modelRoot, readFileSync('fixtures/mini-tflite-qa/model.tflite'), 'mini.tflite');
    const [graph] = model.subgraphs ?? [];
    const codes = model.operatorCodes?.map(({ builtinCode, version }) => `${builtinCode} ${version}`);
    expect(model.version).toBe(3);
    expect(codes?.slice(0, 9).join(', ')).toBe(
      'RESHAPE 1, CAST 1, SUB 1, MUL 1, GATHER 1, STRIDED_SLICE 1, PAD 1, CONCATENATION 1, FULLY_CONNECTED 5',
    );
    expect(model.signatureDefs?.[0]?.inputs?.map(({ name }) => name).sort()).toEqual([
      'attention_mask',
      'input_ids',
      'token_type_ids',
    ]);
    expect(model.metadata?.map(({ name }) => name)).toEqual(['min_runtime_version', 'CONVERSION_METADATA']);
    const strided = graph?.operators?.find(({ opcodeIndex }) => opcodeIndex === 5);
    expect(strided?.builtinOptions).toEqual({
      kind: 'StridedSliceOptions',
      value: { beginMask: 5, endMask: 7, ellipsisMask: 0, newAxisMask: 0, shrinkAxisMask: 0, offset: false },
    });
    // Each constant's buffer is as long as its shape says.
    const constants = graph?.tensors?.filter(({ buffer }) => model.buffers?.[buffer]?.data !== undefined) ?? [];
    expect(constants.length).toBeGreaterThan(100);
    for (const { shape, buffer } of constants) {
      const elements = (shape ?? []).reduce((size, dim) => size * dim, 1);
      expect(model.buffers?.[buffer]?.data?.byteLength).toBe(elements * 4);
    }
  });
});

describe('malformed FlatBuffers', () => {
  const { bytes } = encodeFlatbuffer(modelRoot, small);
  const edited = (edit: (view: DataView, copy: Uint8Array) => void): Uint8Array => {
    const copy = bytes.slice();
    edit(new DataView(copy.buffer), copy);
    return copy;
  };
  const root = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const vtable = root - new DataView(bytes.buffer, bytes.byteOffset).getInt32(root, true);
  /** Where the reference to Model.description lies, and the string itself. */
  const slot = root + new DataView(bytes.buffer, bytes.byteOffset).getUint16(vtable + 4 + 2 * 3, true);
  const text = slot + new DataView(bytes.buffer, bytes.byteOffset).getUint32(slot, true);

  test.each([
    ['another identifier', edited((_, copy) => copy.set([84, 70, 76, 50], 4)), 'm: header: has no identifier TFL3'],
    ['an empty file', new Uint8Array(0), 'm: header: has no identifier TFL3'],
    ['a root beyond the end', edited((view) => view.setUint32(0, 0xfffffff0, true)), /^m: Model: bytes 4294967280 to /],
    ['a vtable before the start', edited((view) => view.setInt32(root, 2 ** 30, true)), /^m: Model: bytes -\d+ to /],
    ['a vtable beyond the end', edited((view) => view.setInt32(root, -(2 ** 30), true)), /^m: Model: bytes \d+ to /],
    ['a vtable longer than the file', edited((view) => view.setUint16(vtable, 0xfffe, true)), /^m: Model: bytes /],
    ['a table longer than the file', edited((view) => view.setUint16(vtable + 2, 0xffff, true)), /^m: Model: bytes /],
    [
      'a field outside its table',
      edited((view) => view.setUint16(vtable + 4, 0x4000, true)),
      'm: Model.version: lies outside its table',
    ],
    [
      'a reference to itself',
      edited((view) => view.setUint32(slot, 0, true)),
      'm: Model.description: refers to itself',
    ],
    [
      'a reference beyond the end',
      edited((view) => view.setUint32(slot, 2 ** 31, true)),
      /^m: Model.description: bytes /,
    ],
    [
      'a string longer than the file',
      edited((view) => view.setUint32(text, 0xffffffff, true)),
      /^m: Model.description: bytes /,
    ],
    [
      'a string that is no UTF-8',
      edited((_, copy) => copy.set([0xff], text + 4)),
      'm: Model.description: is not UTF-8 text',
    ],
  ])('are refused: %s', (_, broken, problem) => {
    const read = () => decodeFlatbuffer(modelRoot, broken, 'm');
    expect(read).toThrow(MbertError);
    expect(read).toThrow(problem);
    expect(decodeFlatbuffer(modelRoot, bytes, 'm').description).toBe('späť');
  });

  test('are refused wherever they are cut', () => {
    for (let i = 0; i < 16; i++) {
      const cut = bytes.subarray(0, Math.floor((bytes.byteLength * i) / 16));
      expect(() => decodeFlatbuffer(modelRoot, cut, 'm')).toThrow(MbertError);
    }
  });

  test('never crash the reader, whatever word is overwritten', () => {
    for (let at = 0; at + 4 <= bytes.byteLength; at += 2) {
      for (const value of [0, 1, 0x7fffffff, 0xffffffff]) {
        const broken = edited((view) => view.setUint32(at, value, true));
        try {
          expect(decodeFlatbuffer(modelRoot, broken, 'm')).toBeTypeOf('object');
        } catch (error) {
          expect(error).toBeInstanceOf(MbertError);
        }
      }
    }
  });

  test('are refused when they describe more than they hold', () => {
    const shared = Array.from({ length: 64 }, (_, i) => i);
    const draft: Draft<Model> = { subgraphs: [{ operators: shared.map(() => ({ inputs: shared })) }] };
    const wide = encodeFlatbuffer(modelRoot, draft).bytes;
    expect(decodeFlatbuffer(modelRoot, wide, 'm').subgraphs?.[0]?.operators?.length).toBe(64);
    expect(() => decodeFlatbuffer(modelRoot, bombOf(2000), 'm')).toThrow('the file describes many times its own size');
  });
});

/** A model whose `count` subgraphs are all one table, with a vector of `count` inputs: 8 `count` bytes that read as 4 `count`². */
function bombOf(count: number): Uint8Array {
  const { bytes } = encodeFlatbuffer(modelRoot, {
    subgraphs: Array.from({ length: count }, (_, i) => (i === 0 ? { inputs: new Array<number>(count).fill(7) } : {})),
  });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const root = view.getUint32(0, true);
  const slot = root + view.getUint16(root - view.getInt32(root, true) + 4 + 2 * 2, true);
  const vector = slot + view.getUint32(slot, true);
  const first = vector + 4 + view.getUint32(vector + 4, true);
  for (let i = 0; i < count; i++) view.setUint32(vector + 4 + 4 * i, first - (vector + 4 + 4 * i), true);
  return bytes;
}

describe('files', () => {
  const content = (length: number, fill: number) => ({
    byteLength: length,
    bytes: () => new Uint8Array(length).fill(fill),
  });
  const contents = [content(3, 1), content(16, 2), content(0, 3), content(1000, 4), content(1, 5)];
  const write = async (files: { name: string; bytes: Uint8Array }[] = []): Promise<Uint8Array> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of encodeTflite({ model: { version: 3, description: 'd' }, contents, files }).chunks)
      chunks.push(chunk);
    return new Uint8Array(Buffer.concat(chunks));
  };

  test('hold every buffer on a 16-byte line, and a reader finds them', async () => {
    const bytes = await write();
    const { buffers } = decodeFlatbuffer(modelRoot, bytes, 'm');
    expect(buffers?.[0]?.data).toBeUndefined();
    contents.forEach((wanted, i) => {
      const data = buffers?.[i + 1]?.data as Uint8Array;
      expect(data.byteOffset % 16).toBe(0);
      expect([...data]).toEqual([...wanted.bytes()]);
    });
  });

  test('end in a ZIP whose offsets count from the start of the file', async () => {
    const bytes = await write([
      { name: 'vocab.txt', bytes: new TextEncoder().encode('[PAD]\n[UNK]\n') },
      { name: 'labels.txt', bytes: new TextEncoder().encode('no\nyes') },
    ]);
    expect(readDirectory(bytes)).toEqual([
      { name: 'vocab.txt', method: 0, text: '[PAD]\n[UNK]\n' },
      { name: 'labels.txt', method: 0, text: 'no\nyes' },
    ]);
    expect(Buffer.compare(bytes, await write(readFiles(bytes)))).toBe(0);
  });

  test('are refused from 2 GiB on', () => {
    const half = content(2 ** 30, 0);
    expect(() => encodeTflite({ model: {}, contents: [half], files: [] })).not.toThrow();
    expect(() => encodeTflite({ model: {}, contents: [half, half], files: [] })).toThrow(MbertError);
  });
});

/** The entries of a ZIP as APPNOTE 4.3 lays it out, followed from its end by absolute offsets. */
function readDirectory(bytes: Uint8Array): { name: string; method: number; text: string }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (at: number, length: number) => new TextDecoder().decode(bytes.subarray(at, at + length));
  const end = bytes.byteLength - 22;
  expect(view.getUint32(end, true)).toBe(0x06054b50);
  let at = view.getUint32(end + 16, true);
  return Array.from({ length: view.getUint16(end + 10, true) }, () => {
    expect(view.getUint32(at, true)).toBe(0x02014b50);
    const nameLength = view.getUint16(at + 28, true);
    const local = view.getUint32(at + 42, true);
    expect(view.getUint32(local, true)).toBe(0x04034b50);
    const data = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const entry = {
      name: text(at + 46, nameLength),
      method: view.getUint16(at + 10, true),
      text: text(data, view.getUint32(at + 24, true)),
    };
    at += 46 + nameLength;
    return entry;
  });
}

function readFiles(bytes: Uint8Array): { name: string; bytes: Uint8Array }[] {
  return readDirectory(bytes).map(({ name, text }) => ({ name, bytes: new TextEncoder().encode(text) }));
}

test('equal vectors of zero points are written once, and each reader finds its own', () => {
  const quantization = { scale: new Float32Array(1000).fill(0.5), zeroPoint: new Array<number>(1000).fill(0) };
  const sizeOf = (tensors: Draft<Model>['subgraphs']) => encodeFlatbuffer(modelRoot, { subgraphs: tensors }).bytes;
  const one = sizeOf([{ tensors: [{ quantization }] }]);
  const two = sizeOf([{ tensors: [{ quantization }, { quantization }] }]);
  expect(two.byteLength - one.byteLength).toBeLessThan(4100);
  const read = decodeFlatbuffer(modelRoot, two, 'm').subgraphs?.[0]?.tensors ?? [];
  for (const tensor of read) expect(tensor.quantization?.zeroPoint).toEqual(quantization.zeroPoint);
});
