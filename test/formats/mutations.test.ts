import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import { readHdf5 } from '../../src/formats/hdf5.ts';
import { readTensorBundle } from '../../src/formats/tensor-bundle.ts';
import { readTorch } from '../../src/formats/torch.ts';
import { byteLength, type Tensor } from '../../src/ir/tensor.ts';
import { fc } from '../fast-check.ts';
import { block, entry, header, type Pair, sealed, table } from './bundle-files.ts';
import { damage, EDITS, RUNS } from './damage.ts';
import { dataset, type H5Object, h5File } from './hdf5-files.ts';
import { memoryFile } from './memory-file.ts';
import { storage, tensor, torchLegacy, torchZip } from './torch-files.ts';

/** Reads everything; nothing but an MbertError may come of it, and no tensor that the file cannot hold. */
function survives(size: number, read: () => ReadonlyMap<string, Tensor>): void {
  try {
    for (const each of read().values()) {
      expect(byteLength(each.dtype, each.shape)).toBeLessThanOrEqual(100 * size);
      expect(each.bytes().byteLength).toBe(byteLength(each.dtype, each.shape));
    }
  } catch (error) {
    if (!(error instanceof MbertError)) throw error;
  }
}

const floats = (count: number) => new Uint8Array(Float32Array.from({ length: count }, (_, i) => i).buffer);
const twelve = storage('FloatStorage', '0', 12);
const weights = new Map([
  ['a.weight', tensor(twelve, 0, [3, 4], [4, 1])],
  ['b.weight', tensor(twelve, 0, [4, 3], [1, 4])],
  ['c.bias', tensor(storage('LongStorage', '1', 2), 0, [2], [1])],
]);
const layer = new Map<string, H5Object>([
  ['kernel:0', dataset([1, 2, 3, 4], [2, 2])],
  ['bias:0', dataset([1, 2])],
]);

const readTorchBytes = (bytes: Uint8Array) => readTorch(memoryFile('m.bin', bytes)).tensors;
const readH5Bytes = (bytes: Uint8Array) => readHdf5(memoryFile('m.h5', bytes));

describe('damaged files are refused or read, nothing else', () => {
  test.each<[what: string, good: Uint8Array, read: (bytes: Uint8Array) => ReadonlyMap<string, Tensor>]>([
    ['torch zip', torchZip(weights, { '0': floats(12), '1': floats(4) }), readTorchBytes],
    [
      'torch, the old form',
      torchLegacy(weights, [
        ['0', 12, floats(12)],
        ['1', 2, floats(4)],
      ]),
      readTorchBytes,
    ],
    [
      'HDF5',
      h5File(
        new Map([
          ['a', new Map([['a', layer]])],
          ['b', layer],
        ]),
      ),
      readH5Bytes,
    ],
    ['torch zip of a model', readFileSync('fixtures/mini-qa-bin/pytorch_model.bin'), readTorchBytes],
    ['torch, the old form of a model', readFileSync('fixtures/mini-qa-legacy/pytorch_model.bin'), readTorchBytes],
    ['HDF5 of a model', readFileSync('fixtures/mini-h5-qa/tf_model.h5'), readH5Bytes],
    ['a bundle of a model', readFileSync('fixtures/mini-tf1-qa/model.ckpt.index'), (bytes) => readBundle(bytes)],
  ])('%s', (_, good, read) => {
    expect(read(good).size).toBeGreaterThan(0);
    fc.assert(
      fc.property(EDITS, (edits) => {
        const bytes = damage(good, edits);
        survives(Math.max(bytes.length, good.length), () => read(bytes));
      }),
      { numRuns: RUNS },
    );
  });

  const data = readFileSync('fixtures/mini-tf1-qa/model.ckpt.data-00000-of-00001');

  function readBundle(index: Uint8Array): ReadonlyMap<string, Tensor> {
    return readTensorBundle(
      memoryFile('model.ckpt.index', index, new Map([['model.ckpt.data-00000-of-00001', data]])),
      [],
    ).tensors;
  }

  // Checksums stop what is damaged by accident, not what is damaged on purpose.
  test('a bundle whose checksums are right', () => {
    const pairs: Pair[] = [
      ['', header(1)],
      ['a', entry({ dtype: 1, shape: [2, 2], offset: 0, data: data.subarray(0, 16) })],
      ['ab', entry({ dtype: 3, shape: [4], offset: 16, data: data.subarray(16, 32) })],
    ];
    const content = block(pairs, true);
    expect(readBundle(table([sealed(content)])).size).toBe(2);
    fc.assert(
      fc.property(EDITS, (edits) => survives(data.length, () => readBundle(table([sealed(damage(content, edits))])))),
      { numRuns: RUNS },
    );
  });
});
