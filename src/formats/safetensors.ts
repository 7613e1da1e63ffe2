import { listNames, MbertError, malformed } from '../errors.ts';
import { decodeText } from '../io/bytes.ts';
import type { ModelFile } from '../io/files.ts';
import { shapeText } from '../ir/shape.ts';
import { byteLength, type DType, type Tensor } from '../ir/tensor.ts';
import { isObject, type JsonObject, type JsonValue, jsonText, parseJson } from './json.ts';

/**
 * Most bytes of a header; a full-size MobileBERT's has 140 KB. safetensors' own reader stops at 100 MB, but a header of
 * millions of empty tensors takes eighteen times its bytes once parsed (measured), which would be gigabytes.
 */
const MAX_HEADER_BYTES = 16_000_000;

/**
 * Longest name: module paths in use have some hundred letters. Names end up in messages and in look-ups by their parts.
 */
const MAX_NAME_LENGTH = 1000;

/** Size of the header's length, a u64. */
const PREFIX_BYTES = 8;

/** Dtypes by safetensors 0.8's names; the 4-, 6- and 8-bit floats of that list have no mbert type. */
const DTYPE_NAMES: ReadonlyMap<string, DType> = new Map([
  ['F64', 'f64'],
  ['F32', 'f32'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
  ['I64', 'i64'],
  ['U64', 'u64'],
  ['I32', 'i32'],
  ['U32', 'u32'],
  ['I16', 'i16'],
  ['U16', 'u16'],
  ['I8', 'i8'],
  ['U8', 'u8'],
  ['BOOL', 'bool'],
]);

interface Entry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Offsets into the data, which starts where the header ends. */
  readonly begin: number;
  readonly end: number;
}

/** True where the first bytes of a file of `size` bytes begin a safetensors header. */
export function isSafetensors(head: Uint8Array, size: number): boolean {
  if (head.byteLength <= PREFIX_BYTES) return false;
  const length = headerLength(head);
  return length >= 2 && length <= size - PREFIX_BYTES && head[PREFIX_BYTES] === '{'.charCodeAt(0);
}

/**
 * Reads the header of a safetensors file (https://github.com/huggingface/safetensors#format) and checks that its
 * tensors cover the data exactly: nothing overlaps, no byte is left over. The tensors read their bytes from the file
 * when asked.
 */
export function readSafetensors(file: ModelFile): ReadonlyMap<string, Tensor> {
  const header = readHeader(file);
  const dataStart = PREFIX_BYTES + header.byteLength;
  const entries = parseEntries(file.path, decodeText(header, `${file.path}: header`));
  checkCoverage(file.path, entries, file.size - dataStart);
  const tensors = new Map<string, Tensor>();
  for (const { name, dtype, shape, begin, end } of entries) {
    tensors.set(name, { dtype, shape, fresh: true, bytes: () => file.read(dataStart + begin, end - begin) });
  }
  return tensors;
}

/** Reads the free text that a writer of a safetensors file left in it, by keys. */
export function readMetadata(file: ModelFile): ReadonlyMap<string, string> {
  const header = parseJson(decodeText(readHeader(file), `${file.path}: header`), `${file.path}: header`);
  const metadata = isObject(header) ? header.get('__metadata__') : undefined;
  if (!isObject(metadata)) return new Map();
  return new Map([...metadata].flatMap(([key, value]) => (typeof value === 'string' ? [[key, value] as const] : [])));
}

function headerLength(head: Uint8Array): number {
  return Number(new DataView(head.buffer, head.byteOffset).getBigUint64(0, true));
}

function readHeader(file: ModelFile): Uint8Array {
  if (file.size === 0) throw malformed(file.path, 'is empty (0 bytes)');
  if (file.size < PREFIX_BYTES) throw malformed(file.path, `${file.size} bytes are too short for a safetensors header`);
  const length = headerLength(file.read(0, PREFIX_BYTES));
  const left = file.size - PREFIX_BYTES;
  if (length > left) {
    throw malformed(
      file.path,
      `header of ${length} bytes exceeds the file, which has ${left} bytes after the length`,
      TRUNCATED,
    );
  }
  if (length > MAX_HEADER_BYTES) throw malformed(file.path, `header of ${length} bytes is over ${MAX_HEADER_BYTES}`);
  return file.read(PREFIX_BYTES, length);
}

const TRUNCATED = 'the file is damaged or its download was cut off; fetch it again';

function parseEntries(path: string, text: string): Entry[] {
  const header = parseJson(text, `${path}: header`);
  if (!isObject(header)) throw malformed(`${path}: header`, 'is not a JSON object');
  const entries: Entry[] = [];
  for (const [name, value] of header) {
    // Free text of the writer ({"format": "pt"}), not a tensor.
    if (name === '__metadata__') continue;
    if (name.length > MAX_NAME_LENGTH) {
      throw malformed(`${path}: header`, `tensor name of ${name.length} letters is over ${MAX_NAME_LENGTH}`);
    }
    entries.push(parseEntry(`${path}: ${name}`, name, value));
  }
  return entries;
}

function parseEntry(what: string, name: string, value: JsonValue): Entry {
  if (!isObject(value)) throw malformed(what, 'its header entry is not an object');
  const dtype = parseDType(what, value);
  const shape = parseShape(what, value);
  const [begin, end] = parseOffsets(what, value);
  const bytes = byteLength(dtype, shape);
  if (!Number.isSafeInteger(bytes)) throw malformed(what, `element count of shape ${shapeText(shape)} overflows`);
  if (bytes !== end - begin) {
    throw malformed(what, `has ${end - begin} bytes, but ${dtype}${shapeText(shape)} takes ${bytes}`);
  }
  return { name, dtype, shape, begin, end };
}

function parseDType(what: string, entry: JsonObject): DType {
  const name = entry.get('dtype');
  if (typeof name !== 'string') throw malformed(what, `dtype ${jsonText(name ?? null)} is not a name`);
  const dtype = DTYPE_NAMES.get(name);
  if (dtype === undefined) {
    throw new MbertError('UNSUPPORTED', `${what}: dtype ${jsonText(name)} is not supported`, {
      hint: `supported: ${[...DTYPE_NAMES.keys()].join(', ')}`,
    });
  }
  return dtype;
}

function parseShape(what: string, entry: JsonObject): number[] {
  const shape = entry.get('shape');
  if (!Array.isArray(shape)) throw malformed(what, 'has no shape');
  return shape.map((dim: JsonValue) => parseSize(what, 'dimension', dim));
}

function parseOffsets(what: string, entry: JsonObject): readonly [begin: number, end: number] {
  const offsets = entry.get('data_offsets');
  if (!Array.isArray(offsets) || offsets.length !== 2) throw malformed(what, 'has no pair of data_offsets');
  const [begin, end] = offsets.map((offset: JsonValue) => parseSize(what, 'data offset', offset)) as [number, number];
  if (end < begin) throw malformed(what, `its data ends (${end}) before it begins (${begin})`);
  return [begin, end];
}

function parseSize(what: string, kind: string, value: JsonValue): number {
  if (typeof value === 'number' && value < 0) throw malformed(what, `negative ${kind} ${value}`);
  if (typeof value !== 'number' || !Number.isInteger(value))
    throw malformed(what, `${kind} ${jsonText(value)} is not an integer`);
  // Above 2^53 neighbours are one number, so that sums of such sizes could agree by accident.
  if (value > Number.MAX_SAFE_INTEGER) throw malformed(what, `${kind} ${value} overflows`);
  return value;
}

/** Checks that every data byte belongs to exactly one tensor, as safetensors' own reader does. */
function checkCoverage(path: string, entries: readonly Entry[], dataBytes: number): void {
  const sorted = entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end);
  const cut = sorted.filter(({ end }) => end > dataBytes).map(({ name }) => name);
  if (cut.length > 0)
    throw malformed(`${path}: ${listNames(cut)}`, `past the end of the ${dataBytes} data bytes`, TRUNCATED);
  let covered = 0;
  let previous = '';
  for (const { name, begin, end } of sorted) {
    if (begin < covered) throw malformed(path, `${previous} and ${name} overlap`);
    if (begin > covered)
      throw malformed(`${path}: ${name}`, `the ${begin - covered} bytes before it belong to no tensor`);
    covered = end;
    previous = name;
  }
  if (covered < dataBytes) {
    throw malformed(path, `${dataBytes - covered} bytes after the last tensor belong to no tensor`);
  }
}
