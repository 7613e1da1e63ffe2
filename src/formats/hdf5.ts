import { MbertError, malformed } from '../errors.ts';
import { ByteReader } from '../io/bytes.ts';
import type { ModelFile } from '../io/files.ts';
import { shapeText } from '../ir/shape.ts';
import { byteLength, type DType, type Tensor } from '../ir/tensor.ts';
import { describeType, readDataspace } from './hdf5-types.ts';

/**
 * First bytes of a file (HDF5 File Format Specification 3.0,
 * https://docs.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html).
 */
const SIGNATURE = Uint8Array.of(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a);
const MESSAGES = {
  dataspace: 0x1,
  datatype: 0x3,
  external: 0x7,
  layout: 0x8,
  filters: 0xb,
  continuation: 0x10,
  symbolTable: 0x11,
} as const;

/** Deepest nesting: transformers' layers are eight groups deep, and crafted files must stay off the call stack. */
const MAX_DEPTH = 32;

/** Most continuations of one object's header, each of the one before. */
const MAX_CONTINUATIONS = 64;

/** Longest name: those in Keras files have some 100 characters. */
const MAX_NAME_BYTES = 1024;

const TRUNCATED = 'the file is damaged or its download was cut off; fetch it again';

/** True for first bytes that begin an HDF5 file. */
export function isHdf5(head: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => head[i] === byte);
}

/**
 * Reads the datasets of an HDF5 file, by their paths without the leading slash. This is the part of HDF5 that h5py and
 * Keras write: groups as symbol tables, contiguous data. The rest (chunks, filters, links into other files) is refused
 * by name: mbert reads no file but this one. Tensors read their range when asked.
 */
export function readHdf5(file: ModelFile): ReadonlyMap<string, Tensor> {
  const walk: Walk = { file, tensors: new Map(), visited: new Set(), budget: 2 * file.size };
  readObject(walk, readRoot(walk), '', 0);
  return walk.tensors;
}

interface Walk {
  readonly file: ModelFile;
  readonly tensors: Map<string, Tensor>;
  /** Addresses of structures: each belongs to one place, so that a second visit means a loop. */
  readonly visited: Set<number>;
  /**
   * Bytes of structures left to read. In a sound file they do not overlap, so that they are fewer than the file has.
   */
  budget: number;
}

function read(walk: Walk, address: number, length: number, part: string): ByteReader {
  const { file } = walk;
  const what = `${file.path}: ${part}`;
  if (address + length > file.size) {
    throw malformed(what, `lies at ${address} to ${address + length}, outside the file's ${file.size} bytes`);
  }
  walk.budget -= length;
  if (walk.budget < 0) throw malformed(what, 'its structures overlap');
  return new ByteReader(file.read(address, length), what);
}

/** Reads a structure that only one place may refer to. */
function visit(walk: Walk, address: number, length: number, part: string): ByteReader {
  if (walk.visited.has(address))
    throw malformed(`${walk.file.path}: ${part}`, `the structure at ${address} is used twice`);
  walk.visited.add(address);
  return read(walk, address, length, part);
}

function expectMark(reader: ByteReader, mark: string): void {
  const actual = Buffer.from(reader.bytes(mark.length)).toString('latin1');
  if (actual !== mark) reader.fail(`has ${JSON.stringify(actual)} in place of ${mark}`);
}

/** Reads versions 0 and 1 of the superblock, which tell the address of the root group. */
function readRoot(walk: Walk): number {
  const { file } = walk;
  if (!isHdf5(file.read(0, Math.min(file.size, SIGNATURE.length)))) {
    throw malformed(file.path, 'does not begin as an HDF5 file does', TRUNCATED);
  }
  const reader = read(walk, 0, Math.min(file.size, 100), 'superblock');
  reader.seek(SIGNATURE.length);
  const version = reader.u8();
  if (version > 1) {
    throw new MbertError('UNSUPPORTED', `${file.path}: superblock of version ${version} is not supported`, {
      hint: "Keras and h5py write version 0 unless they are told libver='latest'",
    });
  }
  reader.seek(13);
  const sizes = [reader.u8(), reader.u8()];
  if (sizes.some((size) => size !== 8)) reader.fail(`offsets and lengths of ${sizes.join(' and ')} bytes, not 8`);
  reader.seek(version === 0 ? 24 : 28);
  const base = reader.u64();
  reader.seek(reader.offset + 8);
  const end = reader.u64();
  if (base !== 0) throw new MbertError('UNSUPPORTED', `${file.path}: begins with a user block`);
  if (end > file.size) throw malformed(file.path, `has ${file.size} bytes, should have ${end}`, TRUNCATED);
  // The driver information's address, then the offset of the root's name.
  reader.seek(reader.offset + 16);
  return reader.u64();
}

interface Message {
  readonly type: number;
  readonly isShared: boolean;
  readonly body: ByteReader;
}

function readObject(walk: Walk, address: number, path: string, depth: number): void {
  const part = path === '' ? 'root group' : path;
  const messages = readMessages(walk, address, part);
  const table = messages.find(({ type }) => type === MESSAGES.symbolTable);
  if (table !== undefined) {
    const [tree, heap] = [table.body.u64(), table.body.u64()];
    readGroup(walk, { tree, heap, path, part, depth });
    return;
  }
  const tensor = readDataset(walk, messages, part);
  if (tensor !== undefined) walk.tensors.set(path, tensor);
}

/** Reads version 1 of the object header, with its continuations. */
function readMessages(walk: Walk, address: number, part: string): Message[] {
  const prefix = visit(walk, address, 16, part);
  const version = prefix.u8();
  if (version !== 1) prefix.fail(`object header of version ${version}`);
  prefix.seek(2);
  const count = prefix.u16();
  prefix.seek(8);
  const blocks = [{ address: address + 16, length: prefix.u32() }];
  const messages: Message[] = [];
  for (let next = blocks.shift(), n = 0; next !== undefined; next = blocks.shift(), n++) {
    if (n > MAX_CONTINUATIONS) prefix.fail(`continues more than ${MAX_CONTINUATIONS} times`);
    const block = visit(walk, next.address, next.length, part);
    while (block.left >= 8 && messages.length < count) {
      const type = block.u16();
      const size = block.u16();
      const isShared = (block.u8() & 2) !== 0;
      block.seek(block.offset + 3);
      const body = new ByteReader(block.bytes(size), block.what);
      if (type === MESSAGES.continuation) blocks.push({ address: body.u64(), length: body.u64() });
      messages.push({ type, isShared, body });
    }
  }
  if (messages.length < count) prefix.fail(`has ${messages.length} of ${count} header messages`);
  return messages;
}

interface Group {
  readonly tree: number;
  readonly heap: number;
  readonly path: string;
  readonly part: string;
  readonly depth: number;
}

function readGroup(walk: Walk, group: Group): void {
  const { path, part, depth } = group;
  if (depth >= MAX_DEPTH) throw malformed(`${walk.file.path}: ${part}`, `is nested deeper than ${MAX_DEPTH} groups`);
  const names = readHeap(walk, group.heap, part);
  for (const { nameOffset, address, isLink } of readTree(walk, group.tree, part, depth)) {
    const name = readName(names, nameOffset);
    const child = path === '' ? name : `${path}/${name}`;
    if (walk.tensors.has(child)) throw malformed(`${walk.file.path}: ${child}`, 'is there twice');
    if (isLink) throw new MbertError('UNSUPPORTED', `${walk.file.path}: ${child}: is a symbolic link`);
    readObject(walk, address, child, depth + 1);
  }
}

/** Reads the local heap's data: names that end with a zero. */
function readHeap(walk: Walk, address: number, part: string): ByteReader {
  const heap = visit(walk, address, 32, part);
  expectMark(heap, 'HEAP');
  heap.seek(8);
  const size = heap.u64();
  heap.seek(24);
  return visit(walk, heap.u64(), size, part);
}

function readName(heap: ByteReader, offset: number): string {
  heap.seek(offset);
  const start = offset;
  while (heap.u8() !== 0)
    if (heap.offset - start > MAX_NAME_BYTES) heap.fail(`has a name of more than ${MAX_NAME_BYTES} bytes`);
  const length = heap.offset - 1 - start;
  heap.seek(start);
  return heap.text(length);
}

interface Entry {
  readonly nameOffset: number;
  readonly address: number;
  readonly isLink: boolean;
}

/** Reads the entries of a group's version 1 B-tree. `depth` bounds its levels as well. */
function readTree(walk: Walk, address: number, part: string, depth: number): Entry[] {
  const node = visit(walk, address, 24, part);
  expectMark(node, 'TREE');
  const type = node.u8();
  const level = node.u8();
  const count = node.u16();
  if (type !== 0) node.fail(`has a tree of type ${type} in place of a group's`);
  if (level + depth > MAX_DEPTH) node.fail(`has a tree of ${level} levels`);
  // A key before each child; the last key, after the last child, is of no use here.
  const children = read(walk, address + 24, 16 * count, part);
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) {
    children.seek(16 * i + 8);
    const child = children.u64();
    const below = level === 0 ? readSymbols(walk, child, part) : readTree(walk, child, part, depth + 1);
    for (const entry of below) entries.push(entry);
  }
  return entries;
}

function readSymbols(walk: Walk, address: number, part: string): Entry[] {
  const node = visit(walk, address, 8, part);
  expectMark(node, 'SNOD');
  node.seek(6);
  const count = node.u16();
  const symbols = read(walk, address + 8, 40 * count, part);
  return Array.from({ length: count }, (_, i) => {
    symbols.seek(40 * i);
    return { nameOffset: symbols.u64(), address: symbols.u64(), isLink: symbols.u32() === 2 };
  });
}

/** Reads a dataset; undefined for objects that hold no data, such as named types. */
function readDataset(walk: Walk, messages: readonly Message[], part: string): Tensor | undefined {
  const what = `${walk.file.path}: ${part}`;
  const bodyOf = (wanted: number) => messages.find(({ type }) => type === wanted);
  const layout = bodyOf(MESSAGES.layout);
  if (layout === undefined) return undefined;
  const [datatype, dataspace] = [bodyOf(MESSAGES.datatype), bodyOf(MESSAGES.dataspace)];
  if (datatype === undefined || dataspace === undefined) throw malformed(what, 'has data without a type or shape');
  const refuse = (problem: string) => new MbertError('UNSUPPORTED', `${what}: ${problem}`);
  if (bodyOf(MESSAGES.external) !== undefined) throw refuse('keeps its data in another file');
  if (bodyOf(MESSAGES.filters) !== undefined) throw refuse('is compressed, which Keras does not do');
  if (datatype.isShared || dataspace.isShared) throw refuse('shares its type with another dataset');
  const shape = readDataspace(dataspace.body);
  const dtype = describeType(datatype.body);
  return shape && datasetTensor(walk, layout.body, dtype, shape);
}

function datasetTensor({ file }: Walk, layout: ByteReader, dtype: DType, shape: readonly number[]): Tensor {
  const expected = byteLength(dtype, shape);
  if (!Number.isSafeInteger(expected)) layout.fail(`element count of shape ${shapeText(shape)} overflows`);
  const version = layout.u8();
  const kind = LAYOUTS[layout.u8()];
  if (version < 3 || version > 4 || kind === undefined || kind === 'chunked' || kind === 'virtual') {
    throw new MbertError(
      'UNSUPPORTED',
      `${layout.what}: its data is ${kind ?? 'laid out in an unknown way'} (version ${version})`,
    );
  }
  if (kind === 'compact') {
    const bytes = layout.bytes(layout.u16()).slice(0, expected);
    if (bytes.length < expected)
      layout.fail(`has ${bytes.length} bytes, but ${dtype}${shapeText(shape)} takes ${expected}`);
    return { dtype, shape, bytes: () => bytes };
  }
  const address = layout.u64();
  const size = layout.u64();
  if (size < expected) layout.fail(`has ${size} bytes, but ${dtype}${shapeText(shape)} takes ${expected}`);
  // Nothing is stored of a dataset without elements.
  const start = expected === 0 ? 0 : address;
  if (start + expected > file.size) layout.fail(`its data lies outside the file's ${file.size} bytes`, TRUNCATED);
  return { dtype, shape, fresh: true, bytes: () => file.read(start, expected) };
}

const LAYOUTS: { readonly [kind: number]: 'compact' | 'contiguous' | 'chunked' | 'virtual' | undefined } = {
  0: 'compact',
  1: 'contiguous',
  2: 'chunked',
  3: 'virtual',
};
