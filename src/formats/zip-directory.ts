import { inflateRawSync } from 'node:zlib';
import { MbertError, malformed } from '../errors.ts';
import { ByteReader } from '../io/bytes.ts';
import type { ModelFile } from '../io/files.ts';

/** Signatures and sizes of records, from PKWARE's APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16. */
const LOCAL = { signature: 0x04034b50, bytes: 30 } as const;
const ENTRY = { signature: 0x02014b50 } as const;
const END = { signature: 0x06054b50, bytes: 22 } as const;
const LOCATOR64 = { signature: 0x07064b50, bytes: 20 } as const;
const END64 = { signature: 0x06064b50, bytes: 56 } as const;

/** Mark of a value that is too large for its field and stands in the entry's zip64 extra field. */
const IN_EXTRA = 0xffffffff;
const EXTRA64 = 1;

/** Most bytes from the end record on, which a comment of 65,535 bytes may follow. */
const MAX_TAIL_BYTES = END.bytes + 0xffff;

/** Most bytes of a directory: it takes some 100 an entry, and the largest checkpoints have thousands of entries. */
const MAX_DIRECTORY_BYTES = 16 * 2 ** 20;

export interface ArchiveEntry {
  readonly name: string;
  readonly method: 'stored' | 'deflated';
  readonly storedSize: number;
  /** Bytes of the entry once inflated, as the directory claims. */
  readonly size: number;
  /** Offset in the file at which the entry's bytes begin, from its local header. */
  dataStart(): number;
}

/** Reads the directory of a zip archive: entries by name, in its order. Their bytes are left where they are. */
export function readArchive(file: ModelFile): ReadonlyMap<string, ArchiveEntry> {
  const { offset, size, count } = findDirectory(file);
  if (size > MAX_DIRECTORY_BYTES)
    throw malformed(file.path, `directory of ${size} bytes is over ${MAX_DIRECTORY_BYTES}`);
  const reader = new ByteReader(file.read(offset, size), `${file.path}: zip directory`);
  const entries = new Map<string, ArchiveEntry>();
  for (let i = 0; i < count; i++) {
    const entry = readEntry(reader, file, offset);
    if (entries.has(entry.name)) reader.fail(`names ${entry.name} twice`);
    entries.set(entry.name, entry);
  }
  return entries;
}

/** Offset at which the bytes of an entry begin that is not compressed. */
export function storedStart(file: ModelFile, { name, size, storedSize, dataStart }: ArchiveEntry): number {
  if (size !== storedSize) throw malformed(`${file.path}: ${name}`, `is stored as ${storedSize} bytes of ${size}`);
  return dataStart();
}

/**
 * Inflates the bytes of a compressed entry. Throws MALFORMED where they are fewer or more than the directory claims.
 */
export function inflateEntry(file: ModelFile, { name, size, storedSize, dataStart }: ArchiveEntry): Uint8Array {
  const what = `${file.path}: ${name}`;
  const deflated = file.read(dataStart(), storedSize);
  let bytes: Uint8Array;
  try {
    bytes = inflateRawSync(deflated, { maxOutputLength: Math.max(size, 1) });
  } catch (cause) {
    throw new MbertError('MALFORMED', `${what}: does not inflate to its ${size} bytes`, { cause });
  }
  if (bytes.byteLength !== size) throw malformed(what, `inflates to ${bytes.byteLength} bytes instead of ${size}`);
  return bytes;
}

interface Directory {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
}

function findDirectory(file: ModelFile): Directory {
  const length = Math.min(file.size, MAX_TAIL_BYTES);
  const tail = file.read(file.size - length, length);
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  for (let at = length - END.bytes; at >= 0; at--) {
    if (view.getUint32(at, true) !== END.signature) continue;
    if (view.getUint16(at + 20, true) !== length - at - END.bytes) continue;
    return (
      readEnd64(file, file.size - length + at) ?? {
        count: view.getUint16(at + 10, true),
        size: view.getUint32(at + 12, true),
        offset: view.getUint32(at + 16, true),
      }
    );
  }
  throw malformed(file.path, 'is a zip archive without a directory', 'its download was cut off; fetch it again');
}

/**
 * Reads the directory's place as archives beyond 4 GiB or 65,535 entries give it, in a record before the end record.
 */
function readEnd64(file: ModelFile, endAt: number): Directory | undefined {
  if (endAt < LOCATOR64.bytes) return undefined;
  const locator = new ByteReader(file.read(endAt - LOCATOR64.bytes, LOCATOR64.bytes), `${file.path}: zip64 locator`);
  if (locator.u32() !== LOCATOR64.signature) return undefined;
  locator.seek(8);
  const record = new ByteReader(file.read(locator.u64(), END64.bytes), `${file.path}: zip64 end record`);
  if (record.u32() !== END64.signature) record.fail('has no signature');
  record.seek(32);
  return { count: record.u64(), size: record.u64(), offset: record.u64() };
}

const METHODS: ReadonlyMap<number, ArchiveEntry['method']> = new Map([
  [0, 'stored'],
  [8, 'deflated'],
]);

function readEntry(reader: ByteReader, file: ModelFile, directoryStart: number): ArchiveEntry {
  if (reader.u32() !== ENTRY.signature) reader.fail(`has no entry at offset ${reader.offset - 4}`);
  reader.seek(reader.offset + 4);
  const isEncrypted = (reader.u16() & 1) !== 0;
  const methodNumber = reader.u16();
  reader.seek(reader.offset + 8);
  const sizes = { stored: reader.u32(), size: reader.u32(), start: 0 };
  const nameLength = reader.u16();
  const extraLength = reader.u16();
  const commentLength = reader.u16();
  reader.seek(reader.offset + 8);
  sizes.start = reader.u32();
  const name = reader.text(nameLength);
  widen(sizes, new ByteReader(reader.bytes(extraLength), `${reader.what}: ${name}`));
  reader.seek(reader.offset + commentLength);
  const method = METHODS.get(methodNumber);
  if (method === undefined || isEncrypted) {
    const problem = isEncrypted ? 'is encrypted' : `is compressed by method ${methodNumber}`;
    throw new MbertError('UNSUPPORTED', `${file.path}: ${name}: ${problem}`);
  }
  const { stored, size, start } = sizes;
  return {
    name,
    method,
    storedSize: stored,
    size,
    dataStart: () => dataStart(file, name, start, stored, directoryStart),
  };
}

/** Takes values that are too large for their fields from the zip64 extra field, which holds them in this order. */
function widen(sizes: { stored: number; size: number; start: number }, extra: ByteReader): void {
  while (extra.left >= 4) {
    const id = extra.u16();
    const field = new ByteReader(extra.bytes(extra.u16()), extra.what);
    if (id !== EXTRA64) continue;
    if (sizes.size === IN_EXTRA) sizes.size = field.u64();
    if (sizes.stored === IN_EXTRA) sizes.stored = field.u64();
    if (sizes.start === IN_EXTRA) sizes.start = field.u64();
  }
}

function dataStart(file: ModelFile, name: string, headerStart: number, storedSize: number, limit: number): number {
  const header = new ByteReader(file.read(headerStart, LOCAL.bytes), `${file.path}: ${name}: zip header`);
  if (header.u32() !== LOCAL.signature) header.fail('has no signature');
  header.seek(26);
  const start = headerStart + LOCAL.bytes + header.u16() + header.u16();
  if (start + storedSize > limit) header.fail(`its ${storedSize} bytes at offset ${start} run into the directory`);
  return start;
}
