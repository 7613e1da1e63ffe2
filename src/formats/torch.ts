import { MbertError, malformed } from '../errors.ts';
import { ByteReader } from '../io/bytes.ts';
import type { ModelFile } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { PickleValue } from './pickle.ts';
import { findStateDict, readTorchPickle } from './torch-pickle.ts';
import { type ReadStorage, storageBytes, type TorchStorage, viewProblem, viewTensor } from './torch-view.ts';
import { type ArchiveEntry, inflateEntry, readArchive, storedStart } from './zip-directory.ts';

/** Most bytes of a pickle, which describes a tensor in 150: room for 100,000 tensors. */
const MAX_PICKLE_BYTES = 16 * 2 ** 20;

/** Most times that an entry may inflate: deflate shrinks constant data up to 1,032 times, weights by a tenth. */
const MAX_INFLATION = 100;

/** First bytes of a zip archive, `PK\3\4`. */
const ZIP_MAGIC = 0x04034b50;

/** Opcode that begins a pickle; its protocol follows. */
const PROTO = 0x80;

/** Whole of an old file's first pickle, torch.serialization.MAGIC_NUMBER, and of the second. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;

/** Contents of a file: its named tensors, and the dictionaries around them from the outermost. */
interface TorchCheckpoint {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly wrappers: readonly string[];
}

/** True for first bytes that begin a zip archive or a pickle. */
export function mayBeTorch(head: Uint8Array): boolean {
  return isZip(head) || (head[0] === PROTO && (head[1] ?? 255) <= 5);
}

/** Reads a file of torch.save, a zip archive or one in the old form. Tensors are read by range when asked. */
export function readTorch(file: ModelFile): TorchCheckpoint {
  const { root, storages } = isZip(file.read(0, Math.min(4, file.size))) ? readZip(file) : readLegacy(file);
  const { views, wrappers } = findStateDict(root, file.path);
  const tensors = new Map<string, Tensor>();
  for (const [name, view] of views) {
    const problem = viewProblem(view);
    if (problem !== undefined) throw malformed(`${file.path}: ${name}`, problem);
    const read = storages.get(view.storage.key);
    if (read === undefined) throw malformed(`${file.path}: ${name}`, `storage ${view.storage.key} is not in the file`);
    tensors.set(name, viewTensor(view, read));
  }
  return { tensors, wrappers };
}

interface Contents {
  readonly root: PickleValue;
  readonly storages: ReadonlyMap<string, ReadStorage>;
}

function isZip(head: Uint8Array): boolean {
  return head.length >= 4 && new DataView(head.buffer, head.byteOffset).getUint32(0, true) === ZIP_MAGIC;
}

/** Reads a zip archive, as torch 1.6 and later write it: `<name>/data.pkl` and the storages `<name>/data/<key>`. */
function readZip(file: ModelFile): Contents {
  const entries = readArchive(file);
  const pickle = [...entries.values()].find(({ name }) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickle === undefined) throw malformed(file.path, 'is a zip archive without data.pkl, so no PyTorch checkpoint');
  const folder = pickle.name.slice(0, -'data.pkl'.length);
  const open = entryOpener(file);
  checkOrder(file, entries.get(`${folder}byteorder`), open);
  if (pickle.size > MAX_PICKLE_BYTES)
    throw malformed(`${file.path}: ${pickle.name}`, `${pickle.size} bytes are over ${MAX_PICKLE_BYTES}`);
  const reader = new ByteReader(open(pickle)(0, pickle.size), `${file.path}: ${pickle.name}`);
  const named = new Map<string, TorchStorage>();
  const root = readTorchPickle(reader, named);
  const storages = new Map<string, ReadStorage>();
  for (const [key, storage] of named) {
    const name = `${folder}data/${key}`;
    const entry = entries.get(name);
    if (entry === undefined) throw malformed(`${file.path}: ${name}`, 'the storage is not in the archive');
    const expected = storageBytes(storage);
    if (entry.size !== expected)
      throw malformed(`${file.path}: ${name}`, `has ${entry.size} bytes, its storage takes ${expected}`);
    storages.set(key, open(entry));
  }
  return { root, storages };
}

function checkOrder(file: ModelFile, entry: ArchiveEntry | undefined, open: OpenEntry): void {
  if (entry === undefined) return;
  const isLittle = entry.size === 6 && Buffer.from(open(entry)(0, entry.size)).toString('latin1') === 'little';
  if (!isLittle) throw bigEndian(file);
}

/** Opens an entry of an archive to be read by ranges. */
type OpenEntry = (entry: ArchiveEntry) => ReadStorage;

/** Opens entries of an archive. The last compressed one is kept, as tensors share storages; torch writes none. */
function entryOpener(file: ModelFile): OpenEntry {
  let last: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  return (entry) => {
    if (entry.method === 'stored') return openStored(file, entry);
    checkInflation(file, entry);
    return (offset, length) => {
      if (last?.name !== entry.name) last = { name: entry.name, bytes: inflateEntry(file, entry) };
      // A copy, because callers own what they read.
      return last.bytes.slice(offset, offset + length);
    };
  };
}

function openStored(file: ModelFile, entry: ArchiveEntry): ReadStorage {
  const start = storedStart(file, entry);
  return (offset, length) => file.read(start + offset, length);
}

function checkInflation(file: ModelFile, { name, size, storedSize }: ArchiveEntry): void {
  if (size <= storedSize * MAX_INFLATION) return;
  const problem = `inflates from ${storedSize} to ${size} bytes, which no weights do`;
  throw malformed(`${file.path}: ${name}`, problem);
}

/**
 * Reads a file of before torch 1.6: pickles of a magic number, a protocol number, the machine, the object and the keys
 * of its storages; then for each key the number of elements and the elements.
 */
function readLegacy(file: ModelFile): Contents {
  const reader = new ByteReader(file.read(0, Math.min(file.size, MAX_PICKLE_BYTES)), file.path);
  const named = new Map<string, TorchStorage>();
  const next = () => readTorchPickle(reader, named);
  if (next() !== LEGACY_MAGIC) {
    throw malformed(file.path, 'is a pickle, but no PyTorch checkpoint', 'only what torch.save wrote can be read');
  }
  if (next() !== LEGACY_PROTOCOL) reader.fail('has an unknown protocol number');
  const machine = next();
  if (!(machine instanceof Map)) return reader.fail('does not say on which machine it was written');
  if (machine.get('little_endian') !== true) throw bigEndian(file);
  const root = next();
  const keys = next();
  if (!Array.isArray(keys)) return reader.fail('has no list of its storages');
  const storages = new Map<string, ReadStorage>();
  let at = reader.offset;
  for (const key of keys as PickleValue[]) {
    const storage = typeof key === 'string' ? named.get(key) : undefined;
    if (storage === undefined || storages.has(storage.key))
      return reader.fail('lists a storage that it does not use once');
    const start = at + LENGTH_BYTES;
    at = start + storageBytes(storage);
    if (at > file.size) {
      const hint = 'the download was cut off; fetch the file again';
      throw malformed(
        file.path,
        `ends at ${file.size} bytes, but storage ${storage.key} needs bytes ${start} to ${at}`,
        hint,
      );
    }
    checkLength(file, start - LENGTH_BYTES, storage);
    storages.set(storage.key, (offset, length) => file.read(start + offset, length));
  }
  return { root, storages };
}

/** Size of the number of elements before each storage. */
const LENGTH_BYTES = 8;

function checkLength(file: ModelFile, at: number, storage: TorchStorage): void {
  const reader = new ByteReader(file.read(at, LENGTH_BYTES), `${file.path}: storage ${storage.key}`);
  const length = reader.i64();
  if (length !== storage.wholeLength) reader.fail(`has ${length} elements, its description ${storage.wholeLength}`);
}

function bigEndian({ path }: ModelFile): MbertError {
  return new MbertError('UNSUPPORTED', `${path}: its numbers are not little-endian`);
}
