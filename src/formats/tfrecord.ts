import { gunzipSync, inflateSync } from 'node:zlib';
import { MbertError } from '../errors.ts';
import { ByteReader } from '../io/bytes.ts';
import type { ModelFile } from '../io/files.ts';
import { HEAD_BYTES, MAX_WHOLE_BYTES } from '../io/part-of-file.ts';
import { maskedCrc32c } from './crc32c.ts';
import { ProtoMessage } from './protobuf.ts';

/** Most bytes that records inflate to, up to 1,032 times their own; SQuAD's 10,833 evaluation features take 33 MB. */
const MAX_INFLATED_BYTES = 2 ** 27;

/** Most records, each of which takes some hundred bytes beside its own: SQuAD's training features are 88,000. */
const MAX_RECORDS = 1_000_000;

/** Size of a record's length, a u64; its masked CRC follows, then the data and the data's masked CRC. */
const LENGTH_BYTES = 8;
const CRC_BYTES = 4;
const FIRST_BYTES = LENGTH_BYTES + CRC_BYTES;

/** Fields of tensorflow/core/example/{example,feature}.proto. */
const EXAMPLE = { features: 1 } as const;
const FEATURES = { feature: 1 } as const;
const FEATURE = { int64s: 3 } as const;
const LIST = { values: 1 } as const;

/** Records of a file. */
export interface TfrecordFile {
  /** Its bytes without their compression. */
  readonly bytes: Uint8Array;
  /** Bytes of the file that these are, where they are its beginning only. */
  readonly partBytes: number | undefined;
}

/**
 * Opens a TFRecord file, compressed (zlib or gzip) or not; undefined where it is something else. Of a large one that is
 * not compressed the beginning is read.
 */
export function openTfrecord(
  file: ModelFile,
  { wholeBytes, headBytes } = { wholeBytes: MAX_WHOLE_BYTES, headBytes: HEAD_BYTES },
): TfrecordFile | undefined {
  const head = file.read(0, Math.min(file.size, FIRST_BYTES));
  const isPart = file.size > wholeBytes;
  if (beginsRecord(head)) {
    const bytes = file.read(0, isPart ? headBytes : file.size);
    return { bytes, partBytes: isPart ? headBytes : undefined };
  }
  const [first = 0, second = 0] = head;
  const isGzip = first === 0x1f && second === 0x8b;
  if (!isGzip && !isZlib(first, second)) return undefined;
  if (isPart && isGzip) {
    throw new MbertError('UNSUPPORTED', `${file.path}: ${file.size} compressed bytes are over ${wholeBytes}`, {
      hint: 'give a part of the file: some hundred samples are enough',
    });
  }
  const inflated = isPart ? undefined : inflate(file.read(0, file.size), isGzip, file.path);
  return inflated && beginsRecord(inflated) ? { bytes: inflated, partBytes: undefined } : undefined;
}

function inflate(bytes: Uint8Array, isGzip: boolean, what: string): Uint8Array | undefined {
  try {
    return (isGzip ? gunzipSync : inflateSync)(bytes, { maxOutputLength: MAX_INFLATED_BYTES });
  } catch (cause) {
    // Text may begin with a letter that begins zlib's header as well; a gzip file is nothing else.
    if (!isGzip) return undefined;
    throw new MbertError('MALFORMED', `${what}: does not inflate`, { cause });
  }
}

/**
 * Reads the data of each record; of a file's beginning those that are whole. Throws MALFORMED for a record that is cut
 * short or does not match its CRC.
 */
export function readRecords({ bytes, partBytes }: TfrecordFile, what: string): Uint8Array[] {
  const reader = new ByteReader(bytes, what);
  const records: Uint8Array[] = [];
  const isCut = (needed: number) => partBytes !== undefined && reader.left < needed + CRC_BYTES;
  while (reader.left > 0 && !isCut(LENGTH_BYTES)) {
    if (records.length === MAX_RECORDS) reader.fail(`has more than ${MAX_RECORDS} records`);
    const record = `record ${records.length + 1}`;
    const length = new ByteReader(checked(reader, LENGTH_BYTES, `${record}: length`), what).u64();
    if (records.length > 0 && isCut(length)) break;
    records.push(checked(reader, length, record));
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
  if (bytes.byteLength < FIRST_BYTES) return false;
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
