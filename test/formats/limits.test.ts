import { describe, expect, test } from 'vitest';
import { readHdf5 } from '../../src/formats/hdf5.ts';
import { readNpy } from '../../src/formats/npy.ts';
import { readOnnxTensor } from '../../src/formats/onnx-tensor.ts';
import { type PickleValue, readPickle } from '../../src/formats/pickle.ts';
import { ProtoMessage } from '../../src/formats/protobuf.ts';
import { readTensorBundle } from '../../src/formats/tensor-bundle.ts';
import { decodeFlatbuffer } from '../../src/formats/tflite/decode.ts';
import { modelRoot } from '../../src/formats/tflite/generated/model.ts';
import { readTorch } from '../../src/formats/torch.ts';
import { readArchive } from '../../src/formats/zip-directory.ts';
import { storedZip } from '../../src/formats/zip-stored.ts';
import { ByteReader } from '../../src/io/bytes.ts';
import type { ModelFile } from '../../src/io/files.ts';
import { contiguous, dataset, floatType, type H5Object, h5File, type Message, space } from './hdf5-files.ts';
import { memoryFile, pack } from './memory-file.ts';
import { pickle } from './pickler.ts';
import { message } from './protobuf-writer.ts';
import { storage, tensor, torchZip } from './torch-files.ts';

/** What a sound file may have at most is read, one more is refused. */
function expectLimit(read: (size: number) => unknown, most: number, problem: string): void {
  expect(read(most)).toBeDefined();
  expect(() => read(most + 1)).toThrow(
    expect.objectContaining({ code: 'MALFORMED', message: expect.stringContaining(problem) }),
  );
}

const letters = (count: number) => 'x'.repeat(count);
const ones = (count: number) => new Array<number>(count).fill(1);

describe('HDF5', () => {
  const read = (root: ReadonlyMap<string, H5Object>) => readHdf5(memoryFile('m.h5', h5File(root)));

  test('names have 1,024 bytes at most', () => {
    const named = (length: number) => read(new Map([[letters(length), dataset([1])]]));
    expectLimit(named, 1024, 'has a name of more than 1024 bytes');
  });

  /** A dataset whose header goes on in so many further blocks, `length` bytes each, `apart` bytes from one another. */
  const continued = (count: number, length: number, apart: number) => {
    const blocks = (at: number): Message[] =>
      Array.from({ length: count }, (_, i) => [0x10, pack([8, at + 8 + i * apart], [8, length])]);
    const of = (at: number) => [space([2]), floatType(), contiguous(at, 8), ...blocks(at)];
    return read(new Map([['w', { data: new Uint8Array(4096), of }]]));
  };

  test('a header goes on 64 times at most', () => {
    expectLimit((count) => continued(count, 0, 8), 64, 'continues more than 64 times');
  });

  test('structures that overlap cannot have more bytes than the file has twice', () => {
    expect(continued(3, 1024, 1024).size).toBe(1);
    expect(continued(2, 4000, 8).size).toBe(1);
    expect(() => continued(20, 3900, 8)).toThrow('w: its structures overlap');
  });
});

describe('PyTorch', () => {
  const six = new Uint8Array(24);

  test('keys of storages have 64 characters at most', () => {
    const keyed = (length: number) => {
      const root = new Map([['w', tensor(storage('FloatStorage', letters(length), 6), 0, [6], [1])]]);
      return readTorch(memoryFile('m.bin', torchZip(root, { [letters(length)]: six }))).tensors.get('w');
    };
    expectLimit(keyed, 64, 'refers to what is no storage');
  });

  test('a pickle of 16 MiB is no description of weights, whatever it inflates from', () => {
    const zip = storedZip([{ name: 'a/data.pkl', bytes: pickle(new Map()) }], 0);
    const view = new DataView(zip.buffer, zip.byteOffset);
    view.setUint32(Buffer.from(zip).lastIndexOf('a/data.pkl') - 46 + 24, 2 ** 24 + 1, true);
    expect(() => readTorch(memoryFile('m.bin', zip))).toThrow('a/data.pkl: 16777217 bytes are over 16777216');
  });
});

describe('pickles', () => {
  const read = (bytes: Uint8Array) =>
    readPickle(new ByteReader(bytes, 'x.pkl'), {
      globals: new Map([[`m.${letters(254)}`, undefined]]),
      persistent: () => null as PickleValue,
    });

  test('integers have 16 bytes at most', () => {
    expectLimit(
      (size) => read(pickle(pack(Uint8Array.of(0x8a, size), new Uint8Array(size)))),
      16,
      'integer of 17 bytes',
    );
  });

  test('a line of a name has 256 characters at most', () => {
    expect(() => read(pickle(pack(`c${letters(256)}\nx\n`)))).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
    expect(() => read(pickle(pack(`c${letters(257)}\nx\n`)))).toThrow('pickle has a name longer than 256 (');
    expect(read(pickle(pack(`cm\n${letters(254)}\n`)))).toBeDefined();
  });
});

describe('axes', () => {
  test('are 64 at most in NumPy’s files', () => {
    const read = (rank: number) => {
      const shape = `(${ones(rank).join(', ')})`;
      const header = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }\n`;
      const bytes = pack(Buffer.from('934e554d5059', 'hex'), [1, 1], [1, 0], [2, header.length], header, [4, 0]);
      return readNpy(bytes, 'a.npy');
    };
    expectLimit(read, 64, 'is out of range');
  });

  test('are 32 at most in ONNX', () => {
    const read = (rank: number) => {
      const bytes = message([1, { packed: ones(rank) }], [2, 1], [9, new Uint8Array(4)]);
      return readOnnxTensor(ProtoMessage.open(bytes, 'm.onnx'), () => memoryFile('w', new Uint8Array(0)));
    };
    expectLimit(read, 32, 'm.onnx: a tensor without a name: has 33 axes');
  });
});

test('fields of protobuf are numbered up to 2^29 - 1', () => {
  const read = (number: number) => ProtoMessage.open(message([number, 7]), 'a.pb').int(number);
  expectLimit(read, 2 ** 29 - 1, 'is no protobuf: field 536870912 at byte 0');
});

/** A file of which only the end is there: whoever reads more than that has not looked at a limit first. */
function claimed(path: string, size: number, end: Uint8Array = new Uint8Array(0)): ModelFile {
  const start = size - end.length;
  return {
    ...memoryFile(path, end),
    size,
    read(offset, length) {
      if (length > 2 ** 20) throw new Error(`reads ${length} bytes`);
      const bytes = new Uint8Array(length);
      bytes.set(
        end.subarray(Math.max(0, offset - start), Math.max(0, offset - start + length)),
        Math.max(0, start - offset),
      );
      return bytes;
    },
  };
}

test('the directory of a zip archive has 16 MiB at most', () => {
  const end = (size: number) => pack([4, 0x06054b50], [2, 0], [2, 0], [2, 0], [2, 0], [4, size], [4, 0], [2, 0]);
  const read = (size: number) => readArchive(claimed('m.zip', 2 ** 30, end(size)));
  expect(() => read(2 ** 24 + 1)).toThrow('directory of 16777217 bytes is over 16777216');
  expect(() => read(2 ** 24)).toThrow('reads 16777216 bytes');
});

test('the index of a TensorFlow checkpoint has 64 MiB at most', () => {
  expect(() => readTensorBundle(claimed('m.index', 2 ** 26 + 1), [])).toThrow('67108865 bytes are over 67108864');
  expect(() => readTensorBundle(claimed('m.index', 2 ** 26), [])).toThrow('reads 67108864 bytes');
});

test('a FlatBuffer has a million tables at most, however they are shared', () => {
  // A model whose list of buffers refers to one and the same table again and again.
  const read = (count: number) => {
    const vector = pack([4, count]);
    const at = 44 + 4 * count;
    const references = new Uint32Array(count);
    for (let i = 0; i < count; i++) references[i] = at - (44 + 4 * i);
    const bytes = pack(
      ...([
        [4, 24],
        'TFL3',
        [2, 14],
        [2, 8],
        [8, 0],
        [2, 4],
        [2, 0],
        [4, 16],
        [4, 12],
        [2, 4],
        [2, 4],
        [4, 0],
      ] as const),
      vector,
      new Uint8Array(references.buffer),
      [4, at - 32],
    );
    return decodeFlatbuffer(modelRoot, bytes, 'm');
  };
  expect(read(1000).buffers).toHaveLength(1000);
  expect(() => read(1_000_000)).toThrow('is beyond the 1000000 tables that a file may have');
});
