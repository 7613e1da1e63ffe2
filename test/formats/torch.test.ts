import { deflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { readTorch } from '../../src/formats/torch.ts';
import { storedZip } from '../../src/formats/zip-stored.ts';
import { readF32, readIntegers, type Tensor } from '../../src/ir/tensor.ts';
import { memoryFile } from './memory-file.ts';
import { global, type Picklable, pickle } from './pickler.ts';
import { storage, tensor, torchLegacy, torchZip } from './torch-files.ts';

/** 0, 1, 2, … */
function floats(count: number): Uint8Array {
  return new Uint8Array(Float32Array.from({ length: count }, (_, i) => i).buffer);
}

const SIX = { '0': floats(6) };

function read(bytes: Uint8Array): ReadonlyMap<string, Tensor> {
  return readTorch(memoryFile('m.bin', bytes)).tensors;
}

function readZip(value: Picklable, storages: Readonly<Record<string, Uint8Array>> = SIX): Tensor {
  return read(torchZip(new Map([['w', value]]), storages)).get('w') as Tensor;
}

const sixFloats = storage('FloatStorage', '0', 6);

describe('reads a tensor', () => {
  test.each<[what: string, shape: number[], strides: number[], offset: number, expected: number[]]>([
    ['in rows', [2, 3], [3, 1], 0, [0, 1, 2, 3, 4, 5]],
    ['in columns', [2, 3], [1, 2], 0, [0, 2, 4, 1, 3, 5]],
    ['from the middle of its storage', [2], [1], 3, [3, 4]],
    ['of every other element', [3], [2], 1, [1, 3, 5]],
    ['of three axes', [3, 1, 2], [2, 1, 1], 0, [0, 1, 2, 3, 4, 5]],
    ['of three axes in another order', [3, 1, 2], [1, 6, 3], 0, [0, 3, 1, 4, 2, 5]],
    ['that overlaps itself', [2, 2], [1, 1], 1, [1, 2, 2, 3]],
    ['without axes', [], [], 5, [5]],
    ['without elements', [0, 4], [4, 1], 0, []],
  ])('%s', (_, shape, strides, offset, expected) => {
    const read = readZip(tensor(sixFloats, offset, shape, strides));
    expect([read.dtype, read.shape, [...readF32(read)]]).toEqual(['f32', shape, expected]);
  });

  test.each<[type: string, dtype: string, bytes: Uint8Array]>([
    ['DoubleStorage', 'f64', new Uint8Array(Float64Array.of(1, 2, 3, 4).buffer)],
    ['HalfStorage', 'f16', new Uint8Array(Uint16Array.of(0x3c00, 0x4000, 0x4200, 0x4400).buffer)],
    ['BFloat16Storage', 'bf16', new Uint8Array(Uint16Array.of(0x3f80, 0x4000, 0x4040, 0x4080).buffer)],
    ['LongStorage', 'i64', new Uint8Array(BigInt64Array.of(1n, 2n, 3n, 4n).buffer)],
    ['IntStorage', 'i32', new Uint8Array(Int32Array.of(1, 2, 3, 4).buffer)],
    ['ShortStorage', 'i16', new Uint8Array(Int16Array.of(1, 2, 3, 4).buffer)],
    ['CharStorage', 'i8', Uint8Array.of(1, 2, 3, 4)],
    ['ByteStorage', 'u8', Uint8Array.of(1, 2, 3, 4)],
    ['BoolStorage', 'bool', Uint8Array.of(1, 2, 3, 4)],
  ])('of a %s, in columns', (type, dtype, bytes) => {
    const read = readZip(tensor(storage(type, '0', 4), 0, [2, 2], [1, 2]), { '0': bytes });
    expect([read.dtype, readIntegers(read)]).toEqual([dtype, [1, 3, 2, 4]]);
  });

  test('with a type of its own over an untyped storage', () => {
    const untyped = { persistent: ['storage', global('torch.storage.UntypedStorage'), '0', 'cpu', 24] };
    const args = [untyped, 1, [2], [2], false, null, global('torch.float32')];
    const read = readZip({ call: global('torch._utils._rebuild_tensor_v3'), args });
    expect([read.dtype, [...readF32(read)]]).toEqual(['f32', [1, 3]]);
  });

  test('inside a parameter or a subclass', () => {
    const plain = tensor(sixFloats, 0, [6], [1]);
    const parameter = { call: global('torch._utils._rebuild_parameter'), args: [plain, true, null] };
    const rebuild = [sixFloats, 0, [6], [1], false, null];
    const subclass = {
      call: global('torch._tensor._rebuild_from_type_v2'),
      args: [global('torch._utils._rebuild_tensor_v2'), global('torch.nn.parameter.Parameter'), rebuild, new Map()],
    };
    for (const value of [parameter, subclass])
      expect(readF32(readZip(value))).toEqual(Float32Array.of(0, 1, 2, 3, 4, 5));
  });
});

describe('reads the old form', () => {
  const plain = tensor(sixFloats, 0, [6], [1]);

  test('with several storages', () => {
    const halves = tensor(storage('HalfStorage', 'h', 2), 0, [2], [1]);
    const tensors = read(
      torchLegacy(
        new Map([
          ['a', halves],
          ['b', plain],
        ]),
        [
          ['0', 6, floats(6)],
          ['h', 2, new Uint8Array(Uint16Array.of(0x3c00, 0x4000).buffer)],
        ],
      ),
    );
    expect([...tensors].map(([name, value]) => [name, ...readF32(value)])).toEqual([
      ['a', 1, 2],
      ['b', 0, 1, 2, 3, 4, 5],
    ]);
  });

  test('with a view of a storage', () => {
    const part = tensor(storage('FloatStorage', '0', 6, ['view', 2, 3]), 1, [2], [1]);
    const tensors = read(torchLegacy(new Map([['a', part]]), [['0', 6, floats(6)]]));
    expect([...readF32(tensors.get('a') as Tensor)]).toEqual([3, 4]);
  });

  test('with a dictionary of Python 2', () => {
    const root = { call: global('collections.OrderedDict'), args: [[['w', plain]]] };
    expect([...read(torchLegacy(root, [['0', 6, floats(6)]])).keys()]).toEqual(['w']);
  });

  test.each<[what: string, bytes: Uint8Array, problem: string]>([
    ['a lone pickle', pickle(new Map([['a', 1]])), 'is a pickle, but no PyTorch checkpoint'],
    [
      'another machine',
      torchLegacy(new Map([['a', plain]]), [], new Map([['little_endian', false]])),
      'not little-endian',
    ],
    ['a storage that is not listed', torchLegacy(new Map([['a', plain]]), []), 'a: storage 0 is not in the file'],
    [
      'a storage listed twice',
      torchLegacy(new Map([['a', plain]]), [
        ['0', 6, floats(6)],
        ['0', 6, floats(6)],
      ]),
      'does not use once',
    ],
    [
      'a storage of another length',
      torchLegacy(new Map([['a', plain]]), [['0', 5, floats(6)]]),
      'has 5 elements, its description 6',
    ],
    ['a file that ends', torchLegacy(new Map([['a', plain]]), [['0', 6, floats(5)]]), 'but storage 0 needs bytes'],
  ])('but refuses %s', (_, bytes, problem) => {
    expect(() => read(bytes)).toThrow(problem);
  });
});

describe('refuses a tensor', () => {
  test.each<[what: string, value: Picklable, problem: string]>([
    ['past the end', tensor(sixFloats, 1, [2, 3], [3, 1]), 'w: reaches past the 6 elements of its storage'],
    ['of strides past the end', tensor(sixFloats, 0, [2, 2], [5, 2]), 'w: reaches past the 6 elements'],
    [
      'of a stride 0 that multiplies it',
      tensor(sixFloats, 0, [1000, 6], [0, 1]),
      'w: has 6000 elements, its storage 6',
    ],
    [
      'of too many elements to count',
      tensor(sixFloats, 0, [2 ** 40, 2 ** 40], [0, 0]),
      'w: element count of shape [1099511627776, 1099511627776] overflows',
    ],
    ['with more strides than axes', tensor(sixFloats, 0, [2], [1, 1]), 'w: has 1 dimensions and 2 strides'],
    ['of a negative stride', tensor(sixFloats, 5, [2], [-1]), 'pickle makes no tensor'],
    ['of a negative size', tensor(sixFloats, 0, [-1], [1]), 'pickle makes no tensor'],
    ['of half a size', tensor(sixFloats, 0, [1.5], [1]), 'pickle makes no tensor'],
    ['without a storage', tensor(1, 0, [1], [1]), 'pickle makes no tensor'],
    ['of an unknown type', tensor(storage('QInt8Storage', '0', 6), 0, [1], [1]), 'pickle names torch.QInt8Storage'],
    [
      'of a storage with a hole',
      tensor(storage('FloatStorage', '0', 6, ['v', 4, 3]), 0, [1], [1]),
      'refers to what is no storage',
    ],
    ['of a storage that is none', tensor({ persistent: ['module', 1] }, 0, [1], [1]), 'refers to what is no storage'],
    [
      'of a storage that is not there',
      tensor(storage('FloatStorage', '9', 6), 0, [1], [1]),
      'archive/data/9: the storage is not in the archive',
    ],
    [
      'of a storage of another size',
      tensor(storage('FloatStorage', '0', 7), 0, [1], [1]),
      'archive/data/0: has 24 bytes, its storage takes 28',
    ],
  ])('%s', (_, value, problem) => {
    expect(() => readZip(value)).toThrow(problem);
  });

  test('whose storage has two descriptions', () => {
    const other = tensor(storage('HalfStorage', '0', 12), 0, [1], [1]);
    const root = new Map([
      ['a', tensor(sixFloats, 0, [6], [1])],
      ['b', other],
    ]);
    expect(() => read(torchZip(root, SIX))).toThrow('describes storage 0 in two ways');
  });
});

describe('finds the weights', () => {
  const weights = new Map([['w', tensor(sixFloats, 0, [6], [1])]]);

  test.each<[what: string, root: Picklable, wrappers: string[]]>([
    ['at the root', weights, []],
    [
      'beside an optimizer',
      new Map<string, Picklable>([
        ['epoch', 3],
        ['optimizer', new Map()],
        ['model', weights],
      ]),
      ['model'],
    ],
    ['in two wrappers', new Map([['state_dict', new Map([['module', weights]])]]), ['state_dict', 'module']],
  ])('%s', (_, root, wrappers) => {
    const found = readTorch(memoryFile('m.bin', torchZip(root, SIX)));
    expect([[...found.tensors.keys()], found.wrappers]).toEqual([['w'], wrappers]);
  });

  test.each<[what: string, root: Picklable]>([
    ['a list', [tensor(sixFloats, 0, [6], [1])]],
    ['one tensor', tensor(sixFloats, 0, [6], [1])],
    ['an unknown wrapper', new Map([['generator', weights]])],
    ['wrappers without end', [0, 1, 2, 3, 4].reduce<Picklable>((inner) => new Map([['model', inner]]), weights)],
    ['numbered tensors', Buffer.from('7d4b014b0273', 'hex')],
  ])('not in %s', (_, root) => {
    expect(() => read(torchZip(root, SIX))).toThrow('m.bin: holds no named tensors');
  });
});

describe('archives', () => {
  const root = pickle(new Map([['w', tensor(sixFloats, 0, [3], [2])]]));

  test('of another byte order are refused', () => {
    expect(() => read(torchZip(new Map([['w', tensor(sixFloats, 0, [6], [1])]]), SIX, 'big'))).toThrow(
      'not little-endian',
    );
  });

  test('without a pickle are refused', () => {
    const zip = storedZip([{ name: 'word/document.xml', bytes: root }], 0);
    expect(() => read(zip)).toThrow('is a zip archive without data.pkl');
  });

  /** An archive whose storage is deflated and says that it has `claimed` bytes. */
  function deflated(bytes: Uint8Array, claimed: number): Uint8Array {
    const packed = deflateRawSync(bytes);
    const zip = storedZip(
      [
        { name: 'a/data.pkl', bytes: root },
        { name: 'a/data/0', bytes: packed },
      ],
      0,
    );
    const view = new DataView(zip.buffer, zip.byteOffset);
    const entry = Buffer.from(zip).lastIndexOf('a/data/0') - 46;
    view.setUint16(entry + 10, 8, true);
    view.setUint32(entry + 24, claimed, true);
    return zip;
  }

  test('that were zipped again are inflated', () => {
    expect([...readF32(read(deflated(floats(6), 24)).get('w') as Tensor)]).toEqual([0, 2, 4]);
  });

  test.each<[what: string, bytes: Uint8Array, claimed: number, problem: string]>([
    ['less than they claim', floats(5), 24, 'a/data/0: inflates to 20 bytes instead of 24'],
    ['more than they claim', floats(7), 24, 'a/data/0: does not inflate to its 24 bytes'],
    ['more than their storage takes', floats(7), 28, 'a/data/0: has 28 bytes, its storage takes 24'],
  ])('that inflate to %s are refused', (_, bytes, claimed, problem) => {
    expect(() => read(deflated(bytes, claimed)).get('w')?.bytes()).toThrow(problem);
  });

  test('that inflate a thousandfold are refused before they do', () => {
    const many = tensor(storage('FloatStorage', '0', 2 ** 20), 0, [1], [1]);
    const zip = storedZip(
      [
        { name: 'a/data.pkl', bytes: pickle(new Map([['w', many]])) },
        { name: 'a/data/0', bytes: deflateRawSync(new Uint8Array(2 ** 22)) },
      ],
      0,
    );
    const view = new DataView(zip.buffer, zip.byteOffset);
    const entry = Buffer.from(zip).lastIndexOf('a/data/0') - 46;
    view.setUint16(entry + 10, 8, true);
    view.setUint32(entry + 24, 2 ** 22, true);
    expect(() => read(zip)).toThrow(/a\/data\/0: inflates from \d+ to 4194304 bytes, which no weights do/);
  });
});
