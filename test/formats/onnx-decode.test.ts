import onnxProto from 'onnx-proto';
import { describe, expect, test } from 'vitest';
import { ONNX_DTYPES } from '../../src/formats/onnx.ts';
import { decodeOnnx, type OnnxFile } from '../../src/formats/onnx-decode.ts';
import { type DType, readF32, readIntegers, type Tensor } from '../../src/ir/tensor.ts';
import { encodeModel } from '../importers/onnx/model.ts';
import { countedFile, memoryFile } from './memory-file.ts';

const { onnx } = onnxProto;

type TensorProto = onnxProto.onnx.ITensorProto;

function decode(model: onnxProto.onnx.IModelProto, siblings: { readonly [name: string]: Uint8Array } = {}): OnnxFile {
  const file = memoryFile('model.onnx', encodeModel(model), new Map(Object.entries(siblings)));
  return decodeOnnx(file, (name) => file.sibling(name));
}

function decodeTensor(proto: TensorProto, siblings: { readonly [name: string]: Uint8Array } = {}): Tensor {
  const { initializers } = decode({ graph: { initializer: [{ name: 't', ...proto }] } }, siblings).graph;
  return initializers.get('t') ?? expect.fail('no tensor');
}

/** [dtype, the field that holds it as a list, the list, the numbers that it stands for] */
const LISTS: readonly (readonly [DType, TensorProto, readonly number[]])[] = [
  ['f32', { floatData: [1.5, -2] }, [1.5, -2]],
  ['f64', { doubleData: [1.5, -2] }, [1.5, -2]],
  ['i64', { int64Data: [1, -2] }, [1, -2]],
  ['u64', { uint64Data: [1, 2] }, [1, 2]],
  ['u32', { uint64Data: [1, 4_000_000_000] }, [1, 4_000_000_000]],
  ['i32', { int32Data: [1, -2] }, [1, -2]],
  ['i16', { int32Data: [1, -2] }, [1, -2]],
  ['u16', { int32Data: [1, 65_535] }, [1, 65_535]],
  ['i8', { int32Data: [1, -128] }, [1, -128]],
  ['u8', { int32Data: [1, 255] }, [1, 255]],
  ['bool', { int32Data: [1, 0] }, [1, 0]],
  ['f16', { int32Data: [0x3e00, 0xc000] }, [1.5, -2]],
  ['bf16', { int32Data: [0x3fc0, 0xc000] }, [1.5, -2]],
  ['u4', { int32Data: [0xf1] }, [1, 15]],
  ['i4', { int32Data: [0xf1] }, [1, -1]],
];

describe('tensors', () => {
  test.each(LISTS)('of %s in a list of numbers', (dtype, list, numbers) => {
    const tensor = decodeTensor({ dims: [2], dataType: ONNX_DTYPES[dtype], ...list });
    expect([tensor.dtype, tensor.shape]).toEqual([dtype, [2]]);
    expect(Array.from(/^[iu]/.test(dtype) ? readIntegers(tensor) : readF32(tensor))).toEqual(numbers);
  });

  test('of the largest integers stay at the end of their range', () => {
    const [least, most] = readIntegers(
      decodeTensor({
        dims: [2],
        dataType: ONNX_DTYPES.i64,
        rawData: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 128, 255, 255, 255, 255, 255, 255, 255, 127),
      }),
    );
    expect(least).toBe(-(2 ** 63));
    expect(most).toBe(2 ** 63);
  });

  test('as raw bytes at any offset', () => {
    const rawData = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
    expect([...readF32(decodeTensor({ dims: [3], dataType: 1, rawData }))]).toEqual([1, 2, 3]);
  });

  test('as large raw bytes stay in the file until they are asked for, and are then of the caller', () => {
    const values = Float32Array.from({ length: 250_000 }, (_, i) => i);
    const rawData = new Uint8Array(values.buffer);
    const { file, bytesRead } = countedFile(
      'model.onnx',
      encodeModel({ graph: { initializer: [{ name: 't', dims: [values.length], dataType: 1, rawData }] } }),
    );
    const tensor =
      decodeOnnx(file, (name) => file.sibling(name)).graph.initializers.get('t') ?? expect.fail('no tensor');
    expect(bytesRead()).toBeLessThan(rawData.byteLength / 4);
    expect(tensor.fresh).toBe(true);
    tensor.bytes().fill(0);
    expect(readF32(tensor)).toEqual(values);
  });

  test('in another file are read by range', () => {
    const data = new Uint8Array(Float32Array.of(9, 1, 2, 9).buffer);
    const entries = { location: 'weights.bin', offset: '4', length: '8' };
    const tensor = decodeTensor({ dims: [2], dataType: 1, ...external(entries) }, { 'weights.bin': data });
    expect([...readF32(tensor)]).toEqual([1, 2]);
  });

  test('without offset and length begin at the start', () => {
    const data = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
    const tensor = decodeTensor({ dims: [2], dataType: 1, ...external({ location: 'w' }) }, { w: data });
    expect([...readF32(tensor)]).toEqual([1, 2]);
  });

  test.each([
    [{ location: 'w', offset: '8' }, 'bytes 8 to 16 lie outside the 12 bytes of w'],
    [{ location: 'w', offset: '-4' }, 'bytes -4 to 4 lie outside'],
    [{ location: 'w', offset: 'x' }, 'bytes NaN to NaN lie outside'],
    [{ location: 'w', length: '12' }, 'f32[2] takes 8 bytes, its external data has 12'],
  ])('refuses a range that does not fit: %j', (entries, message) => {
    const proto = { dims: [2], dataType: 1, ...external(entries) };
    expect(() => decodeTensor(proto, { w: new Uint8Array(12) })).toThrow(message);
  });

  test('refuses a list that is longer than the shape', () => {
    expect(() => decodeTensor({ dims: [2], dataType: 1, floatData: [1, 2, 3] })).toThrow(
      'f32[2] takes 2 values, the file has 3',
    );
  });

  test('of no elements have no bytes', () => {
    expect(decodeTensor({ dims: [0], dataType: 7 }).bytes().byteLength).toBe(0);
  });
});

function external(entries: { readonly [key: string]: string }): TensorProto {
  return { dataLocation: 1, externalData: Object.entries(entries).map(([key, value]) => ({ key, value })) };
}

test('reads what the model says of itself', () => {
  const file = decode({
    irVersion: 9,
    producerName: 'maker',
    producerVersion: '2',
    metadataProps: [{ key: 'labels', value: 'a,b' }],
    opsetImport: [
      { domain: 'ai.onnx', version: 19 },
      { domain: 'com.microsoft', version: 1 },
    ],
    graph: { name: 'g' },
  });
  expect([file.irVersion, file.producerName, file.producerVersion, file.graph.name]).toEqual([9, 'maker', '2', 'g']);
  expect([...file.properties]).toEqual([['labels', 'a,b']]);
  expect([...file.opsets]).toEqual([
    ['', 19],
    ['com.microsoft', 1],
  ]);
});

test('reads every kind of attribute', () => {
  const { AttributeType } = onnx.AttributeProto;
  const text = (value: string) => new TextEncoder().encode(value);
  const attribute = [
    { name: 'int', type: AttributeType.INT, i: -3 },
    { name: 'float', type: AttributeType.FLOAT, f: 0.5 },
    { name: 'text', type: AttributeType.STRING, s: text('é') },
    { name: 'ints', type: AttributeType.INTS, ints: [1, -2] },
    { name: 'floats', type: AttributeType.FLOATS, floats: [0.5, 2] },
    { name: 'texts', type: AttributeType.STRINGS, strings: [text('a'), text('b')] },
    { name: 'tensor', type: AttributeType.TENSOR, t: { dims: [1], dataType: 1, floatData: [7] } },
    { name: 'graph', type: AttributeType.GRAPH, g: { name: 'inner' } },
    { name: 'reference', type: AttributeType.INT, refAttrName: 'outer' },
    { name: 'untyped', i: 4 },
  ];
  const [node] = decode({ graph: { node: [{ opType: 'Op', output: ['y'], attribute }] } }).graph.nodes;
  const read = [...(node?.attributes ?? [])].map(([name, { kind, value }]) => [
    name,
    kind,
    kind === 'tensor' ? [...readF32(value)] : value,
  ]);
  expect(read).toEqual([
    ['int', 'int', -3],
    ['float', 'float', 0.5],
    ['text', 'text', 'é'],
    ['ints', 'ints', [1, -2]],
    ['floats', 'floats', [0.5, 2]],
    ['texts', 'texts', ['a', 'b']],
    ['tensor', 'tensor', [7]],
    [
      'graph',
      'graph',
      { name: 'inner', nodes: [], inputs: [], outputs: [], initializers: new Map(), values: new Map() },
    ],
    ['reference', 'reference', 'outer'],
    ['untyped', 'int', 4],
  ]);
  expect(node?.name).toBe('Op y');
});

test('reads types of values, known and unknown', () => {
  const dim = [{ dimValue: 2 }, { dimParam: 'n' }, {}];
  const { values } = decode({
    graph: {
      valueInfo: [
        { name: 'full', type: { tensorType: { elemType: 1, shape: { dim } } } },
        { name: 'no rank', type: { tensorType: { elemType: 7 } } },
        { name: 'no tensor', type: { sequenceType: {} } },
      ],
    },
  }).graph;
  expect([...values.values()]).toEqual([
    { name: 'full', dtype: 'f32', shape: [2, 'n', undefined] },
    { name: 'no rank', dtype: 'i64', shape: undefined },
    { name: 'no tensor', dtype: undefined, shape: undefined },
  ]);
});
