import { gunzipSync, inflateSync } from 'node:zlib';
import { MbertError } from '../errors.ts';
import { ByteReader } from '../io/bytes.ts';
import { maskedCrc32c } from './crc32c.ts';
import { ProtoMessage } from './protobuf.ts';

/** Most bytes that records inflate to, up to 1,032 times their own; SQuAD's 10,833 evaluation features take 33 MB. */
const MAX_INFLATED_BYTES = 2 ** 27;

/** Most records, each of which takes some hundred bytes beside its own: SQuAD's training features are 88,000. */
const MAX_RECORDS = 1_000_000;

/** Size of a record's length, a u64; its masked CRC follows, then the data and the data's masked CRC. */
const LENGTH_BYTES = 8;
const HEAD_BYTES = 12;

/** Fields of tensorflow/core/example/{example,feature}.proto. */
const EXAMPLE = { features: 1 } as const;
const FEATURES = { feature: 1 } as const;
const FEATURE = { int64s: 3 } as const;
const LIST = { values: 1 } as const;

/** Bytes of a TFRecord file without its compression (zlib or gzip, if any); undefined where it is something else. */
export function openTfrecord(bytes: Uint8Array, what: string): Uint8Array | undefined {
  if (beginsRecord(bytes)) return bytes;
  const [first = 0, second = 0] = bytes;
  const inflate = first === 0x1f && second === 0x8b ? gunzipSync : isZlib(first, second) ? inflateSync : undefined;
  if (inflate === undefined) return undefined;
  let inflated: Uint8Array;
  try {
    inflated = inflate(bytes, { maxOutputLength: MAX_INFLATED_BYTES });
  } catch (cause) {
    // Text may begin with a letter that begins zlib's header as well; a gzip file is nothing else.
    if (first === 0x78) return undefined;
    throw new MbertError('MALFORMED', `${what}: does not inflate`, { cause });
  }
  return beginsRecord(inflated) ? inflated : undefined;
}

/** Reads the data of each record. Throws MALFORMED for a record that is cut short or does not match its CRC. */
export function readRecords(bytes: Uint8Array, what: string): Uint8Array[] {
  const reader = new ByteReader(bytes, what);
  const records: Uint8Array[] = [];
  while (reader.left > 0) {
    if (records.length === MAX_RECORDS) reader.fail(`has more than ${MAX_RECORDS} records`);
    const record = `record ${records.length + 1}`;
    const length = checked(reader, LENGTH_BYTES, `${record}: length`);
    records.push(checked(reader, new ByteReader(length, what).u64(), record));
  }
  return records;
}

/** Reads the integer features of a tf.train.Example by name; others are left out. */
export function readExample(record: Uint8Array, what: string): ReadonlyMap<string, readonly number[]> {
  const features = ProtoMessage.open(record, what).message(EXAMPLE.features, 'features');
  const integers = new Map<string, readonly number[]>();
  for (const [name, feature] of features.entries(FEATURES.feature, 'feature')) {
    if (feature.has(FEATURE.int64s)) integers.set(name, feature.message(FEATURE.int64s, 'values').ints(LIST.values));
  }
  return integers;
}

function beginsRecord(bytes: Uint8Array): boolean {
  if (bytes.byteLength < HEAD_BYTES) return false;
  const stored = new DataView(bytes.buffer, bytes.byteOffset).getUint32(LENGTH_BYTES, true);
  return stored === maskedCrc32c(bytes.subarray(0, LENGTH_BYTES));
}

/** True for zlib's header (RFC 1950): deflate, a window of 32 KiB, a check that makes both bytes a multiple of 31. */
function isZlib(first: number, second: number): boolean {
  return first === 0x78 && (first * 256 + second) % 31 === 0;
}

function checked(reader: ByteReader, length: number, part: string): Uint8Array {
  const data = reader.bytes(length);
  if (reader.u32() !== maskedCrc32c(data)) reader.fail(`${part} does not match its checksum`);
  return data;
}
