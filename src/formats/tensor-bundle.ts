import { MbertError, malformed } from '../errors.ts';
import { decodeText } from '../io/bytes.ts';
import type { ModelFile } from '../io/files.ts';
import { shapeText } from '../ir/shape.ts';
import { byteLength, type DType, type Tensor } from '../ir/tensor.ts';
import { maskedCrc32c } from './crc32c.ts';
import { endsTable, readTable } from './leveldb-table.ts';
import { MAX_PARTS, openPart } from './parts.ts';
import { ProtoMessage } from './protobuf.ts';
import { storedDtype } from './tf-types.ts';

/**
 * Most bytes of an index: it takes about 100 a tensor, and a MobileBERT with its optimizer's slots has 3,300 tensors.
 */
const MAX_INDEX_BYTES = 64 * 2 ** 20;

/** Fields of tensor_bundle.proto (BundleHeaderProto, BundleEntryProto) and tensor_shape.proto (TensorShapeProto). */
const HEADER = { shards: 1, endianness: 2 } as const;
const ENTRY = { dtype: 1, shape: 2, shard: 3, offset: 4, size: 5, checksum: 6, slices: 7 } as const;
const SHAPE = { dims: 2, isUnknown: 3 } as const;
const DIM = { size: 1 } as const;

const INDEX_NAME = /\.index$/;
const SHARD_NAME = /\.data-\d{5}-of-\d{5}$/;

/** Contents of a TensorFlow checkpoint of version 2. */
export interface TensorBundle {
  /** Tensors of numbers in alphabetical order of their names. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Names of what is no tensor of numbers, e.g. Keras' object graph. */
  readonly others: readonly string[];
}

/** The name of the index that belongs to a file of a bundle, or undefined for any other file. */
export function bundleIndexName(name: string): string | undefined {
  if (SHARD_NAME.test(name)) return name.replace(SHARD_NAME, '.index');
  return INDEX_NAME.test(name) ? name : undefined;
}

/** True for a file that ends as a bundle's index does. */
export function isBundleIndex(file: ModelFile): boolean {
  const length = Math.min(file.size, 8);
  return endsTable(file.read(file.size - length, length));
}

/**
 * Reads a TensorBundle (tensorflow/core/util/tensor_bundle/tensor_bundle.h) from its index, checksums verified. Tensors
 * read their range of a shard when asked, and verify its checksum the first time. The opened shards are added to
 * `opened`.
 */
export function readTensorBundle(index: ModelFile, opened: ModelFile[]): TensorBundle {
  const { path } = index;
  if (index.size > MAX_INDEX_BYTES) throw malformed(path, `${index.size} bytes are over ${MAX_INDEX_BYTES}`);
  const [header, ...entries] = readTable(index.read(0, index.size), path);
  if (!INDEX_NAME.test(path)) {
    throw new MbertError(
      'UNSUPPORTED',
      `${path}: is no .index file: TensorFlow checkpoints of version 1 are not supported`,
    );
  }
  if (header === undefined || header.key.length > 0) throw malformed(path, 'has no header entry');
  const shardCount = readHeader(header.value, path);
  const shards = new Map<number, ModelFile>();
  const shardOf = (number: number) => {
    const known = shards.get(number);
    if (known !== undefined) return known;
    const shard = openShard(index, number, shardCount);
    opened.push(shard);
    shards.set(number, shard);
    return shard;
  };
  const tensors = new Map<string, Tensor>();
  const others: string[] = [];
  for (const { key, value } of entries) {
    if (key[0] === 0) throw new MbertError('UNSUPPORTED', `${path}: holds slices of partitioned variables`);
    const name = decodeText(key, path);
    const entry = readEntry(value, `${path}: ${name}`, shardCount);
    if (entry === undefined) {
      others.push(name);
      continue;
    }
    const shard = shardOf(entry.shard);
    if (entry.offset + entry.size > shard.size) throw endsEarly(shard, name, entry);
    tensors.set(name, shardTensor(shard, `${shard.path}: ${name}`, entry));
  }
  return { tensors, others };
}

/** Reads the header, which tells the number of shards. */
function readHeader(bytes: Uint8Array, path: string): number {
  const header = ProtoMessage.open(bytes, `${path}: header`);
  const shards = header.int(HEADER.shards);
  if (shards < 1 || shards > MAX_PARTS) header.fail(`names ${shards} data files, of 1 to ${MAX_PARTS}`);
  if (header.int(HEADER.endianness) !== 0) {
    throw new MbertError('UNSUPPORTED', `${path}: was written by a big-endian machine`);
  }
  return shards;
}

interface Entry {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly shard: number;
  readonly offset: number;
  readonly size: number;
  readonly checksum: number;
}

/** Reads what the index says of one key; undefined for what is no tensor of numbers. */
function readEntry(bytes: Uint8Array, what: string, shardCount: number): Entry | undefined {
  const entry = ProtoMessage.open(bytes, what);
  const dtype = storedDtype(entry.int(ENTRY.dtype));
  if (dtype === undefined) return undefined;
  if (entry.has(ENTRY.slices)) throw new MbertError('UNSUPPORTED', `${what}: is a partitioned variable`);
  const shape = readShape(entry.message(ENTRY.shape, 'shape'));
  const shard = entry.int(ENTRY.shard);
  if (shard < 0 || shard >= shardCount) entry.fail(`lies in data file ${shard} of ${shardCount}`);
  const offset = entry.int(ENTRY.offset);
  const size = entry.int(ENTRY.size);
  const expected = byteLength(dtype, shape);
  if (!Number.isSafeInteger(expected)) entry.fail(`element count of shape ${shapeText(shape)} overflows`);
  if (size !== expected) entry.fail(`has ${size} bytes, but ${dtype}${shapeText(shape)} takes ${expected}`);
  if (offset < 0 || !Number.isSafeInteger(offset + size)) entry.fail(`lies at offset ${offset}`);
  return { dtype, shape, shard, offset, size, checksum: entry.fixed32(ENTRY.checksum) };
}

function readShape(shape: ProtoMessage): number[] {
  if (shape.bool(SHAPE.isUnknown)) shape.fail('is unknown');
  return shape.messages(SHAPE.dims, 'dimension').map((dim) => {
    const size = dim.int(DIM.size);
    if (size < 0 || !Number.isSafeInteger(size)) dim.fail(`is ${size}`);
    return size;
  });
}

function openShard(index: ModelFile, number: number, count: number): ModelFile {
  const digits = (value: number) => String(value).padStart(5, '0');
  const base = index.path.split(/[/\\]/).at(-1) ?? '';
  const name = base.replace(INDEX_NAME, `.data-${digits(number)}-of-${digits(count)}`);
  return openPart(index, name, {
    message: `${index.path}: its data file ${name} does not exist`,
    hint: SIDE_BY_SIDE,
  });
}

/** Hint for a checkpoint of which a file is missing. */
export const SIDE_BY_SIDE = 'a TensorFlow checkpoint is an .index file and its .data files, side by side';

function endsEarly({ path, size }: ModelFile, name: string, entry: Entry): MbertError {
  const problem = `ends at ${size} bytes, but ${name} needs bytes ${entry.offset} to ${entry.offset + entry.size}`;
  return malformed(path, problem, 'the download was cut off; fetch the file again');
}

function shardTensor(shard: ModelFile, what: string, { dtype, shape, offset, size, checksum }: Entry): Tensor {
  let isChecked = false;
  return {
    dtype,
    shape,
    fresh: true,
    bytes() {
      const bytes = shard.read(offset, size);
      if (!isChecked && maskedCrc32c(bytes) !== checksum) {
        throw malformed(what, 'its checksum does not match', 'the file is damaged; fetch it again');
      }
      isChecked = true;
      return bytes;
    },
  };
}
