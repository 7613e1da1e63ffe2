import { MbertError, malformed } from '../errors.ts';
import { ByteReader } from '../io/bytes.ts';
import { maskedCrc32c } from './crc32c.ts';

/** Size of the footer: two block handles padded to 40 bytes, then the magic number. */
const FOOTER_BYTES = 48;
const MAGIC = Uint8Array.of(0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb);

/** Compressions by the byte after a block, which a checksum follows. */
const COMPRESSIONS = ['none', 'snappy', 'zstd'];

/** Most entries of a table: those of the largest models have some 100,000, whose keys have 60 characters. */
const MAX_ENTRIES = 1_000_000;
/** Most bytes of all keys: they share prefixes, so that a crafted table could hold long ones at three bytes each. */
const MAX_KEY_BYTES = 64 * 2 ** 20;

interface TableEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

interface Handle {
  readonly offset: number;
  readonly size: number;
}

/** True for the last bytes of a table. */
export function endsTable(tail: Uint8Array): boolean {
  const start = tail.length - MAGIC.length;
  return start >= 0 && MAGIC.every((byte, i) => tail[start + i] === byte);
}

/**
 * Reads all entries of a LevelDB table (https://github.com/google/leveldb/blob/main/doc/table_format.md) in the order
 * of their keys. Every block's checksum is verified. Compressed blocks are refused: TensorFlow writes none.
 */
export function readTable(bytes: Uint8Array, what: string): TableEntry[] {
  if (bytes.length < FOOTER_BYTES) {
    throw malformed(what, `${bytes.length} bytes are too short for a TensorFlow index`, TRUNCATED);
  }
  if (!endsTable(bytes)) throw malformed(what, 'does not end as a TensorFlow index does', TRUNCATED);
  const footer = new ByteReader(bytes.subarray(bytes.length - FOOTER_BYTES), `${what}: footer`);
  readHandle(footer);
  const index = readBlock(bytes, readHandle(footer), `${what}: index block`);
  const entries: TableEntry[] = [];
  let keyBytes = 0;
  let end = 0;
  for (const { value } of index) {
    const handle = readHandle(new ByteReader(value, `${what}: index block`));
    const part = `${what}: block at ${handle.offset}`;
    // Blocks follow one another, so that none is read, and its checksum computed, a thousand times.
    if (handle.offset < end) throw malformed(part, 'overlaps the block before it');
    end = handle.offset + handle.size;
    for (const entry of readBlock(bytes, handle, part)) {
      const previous = entries.at(-1)?.key;
      // Keys ascend across blocks as well, so no block is read twice.
      if (previous !== undefined && Buffer.compare(previous, entry.key) >= 0)
        throw malformed(part, 'its keys are not in order');
      keyBytes += entry.key.length;
      entries.push(entry);
      if (entries.length > MAX_ENTRIES) throw malformed(what, `has more than ${MAX_ENTRIES} entries`);
      if (keyBytes > MAX_KEY_BYTES) throw malformed(what, `has keys of more than ${MAX_KEY_BYTES} bytes`);
    }
  }
  return entries;
}

const TRUNCATED = 'the file is damaged or its download was cut off; fetch it again';

function readHandle(reader: ByteReader): Handle {
  return { offset: reader.varint(), size: reader.varint() };
}

function readBlock(bytes: Uint8Array, { offset, size }: Handle, what: string): Iterable<TableEntry> {
  const reader = new ByteReader(bytes, what);
  reader.seek(offset);
  const content = reader.bytes(size);
  const compression = reader.u8();
  const expected = reader.u32();
  const actual = maskedCrc32c(bytes.subarray(offset, offset + size + 1));
  if (actual !== expected) reader.fail('its checksum does not match', 'the file is damaged; fetch it again');
  if (compression !== 0) {
    const name = COMPRESSIONS[compression] ?? `compression ${compression}`;
    throw new MbertError('UNSUPPORTED', `${what}: is compressed with ${name}, which TensorFlow does not write`);
  }
  return readEntries(content, what);
}

/** Reads entries, which share a prefix with the key before them; the restart points at the end serve look-ups only. */
function* readEntries(content: Uint8Array, what: string): Iterable<TableEntry> {
  const end = entriesEnd(content, what);
  const reader = new ByteReader(content.subarray(0, end), what);
  let previous: Uint8Array = new Uint8Array(0);
  while (reader.left > 0) {
    const shared = reader.varint();
    const rest = reader.varint();
    const length = reader.varint();
    if (shared > previous.length) reader.fail(`an entry shares ${shared} bytes with a key of ${previous.length}`);
    const tail = reader.bytes(rest);
    const key = new Uint8Array(shared + rest);
    key.set(previous.subarray(0, shared));
    key.set(tail, shared);
    yield { key, value: reader.bytes(length) };
    previous = key;
  }
}

function entriesEnd(content: Uint8Array, what: string): number {
  const reader = new ByteReader(content, what);
  if (content.length < 4) reader.fail('has no restart points');
  reader.seek(content.length - 4);
  const restarts = reader.u32();
  const end = content.length - 4 - 4 * restarts;
  if (end < 0) reader.fail(`has ${restarts} restart points in ${content.length} bytes`);
  return end;
}
