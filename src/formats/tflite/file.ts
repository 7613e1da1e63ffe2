import { MbertError } from '../../errors.ts';
import type { OutputFile } from '../../io/files.ts';
import { storedZip, type ZipEntry } from '../zip-stored.ts';
import { encodeFlatbuffer } from './encode.ts';
import { type Model, modelRoot } from './generated/model.ts';
import type { Draft } from './table.ts';

/** Alignment of weights, which kernels read by 16-byte vector loads; the schema asks for it, runtimes do not check. */
const ALIGNMENT = 16;
/** Most bytes of a FlatBuffer: references are 32 bits and its verifier refuses anything from 2 GiB on. */
const MAX_FLATBUFFER_BYTES = 2 ** 31 - 1;

/** Bytes of known size, asked for once, when their turn in the file has come. */
export interface BufferContent {
  readonly byteLength: number;
  bytes(): Uint8Array;
}

interface TfliteFile {
  /** The model but for its buffers. */
  readonly model: Omit<Draft<Model>, 'buffers'>;
  /** Contents that tensors and metadata know as buffers 1, 2, …; buffer 0 is the empty one. */
  readonly contents: readonly BufferContent[];
  /** Files that metadata names, appended as an uncompressed ZIP. */
  readonly files: readonly ZipEntry[];
}

/**
 * Encodes a .tflite file in order: the FlatBuffer without its weights, then each buffer's contents, then the ZIP. Only
 * one buffer's contents are in memory at a time. Throws UNSUPPORTED where the FlatBuffer would reach 2 GiB.
 */
export function encodeTflite({
  model,
  contents,
  files,
}: TfliteFile): Omit<OutputFile, 'name'> & { readonly size: number } {
  const buffers = [{}, ...contents.map((_, later) => ({ data: { later } }))];
  const head = encodeFlatbuffer(modelRoot, { ...model, buffers });
  const view = new DataView(head.bytes.buffer, head.bytes.byteOffset, head.bytes.byteLength);
  /** Start of each vector: its length, with the elements on the next 16-byte line. */
  const starts: number[] = [];
  let end = head.bytes.byteLength;
  contents.forEach(({ byteLength }, i) => {
    const start = Math.ceil((end + 4) / ALIGNMENT) * ALIGNMENT - 4;
    const slot = head.slots[i] as number;
    end = start + 4 + byteLength;
    if (end > MAX_FLATBUFFER_BYTES) {
      throw new MbertError('UNSUPPORTED', `tflite: the model needs 2 GiB or more, and a FlatBuffer ends there`, {
        hint: 'try --dtype f16, or convert to ONNX',
      });
    }
    view.setUint32(slot, start - slot, true);
    starts.push(start);
  });
  const tail = files.length > 0 ? storedZip(files, end) : new Uint8Array();
  return { size: end + tail.byteLength, chunks: chunksOf(head.bytes, starts, contents, tail) };
}

async function* chunksOf(
  head: Uint8Array,
  starts: readonly number[],
  contents: readonly BufferContent[],
  tail: Uint8Array,
): AsyncIterable<Uint8Array> {
  yield head;
  let at = head.byteLength;
  for (const [i, content] of contents.entries()) {
    const start = starts[i] as number;
    const gap = new Uint8Array(start + 4 - at);
    new DataView(gap.buffer).setUint32(start - at, content.byteLength, true);
    yield gap;
    const bytes = content.bytes();
    if (bytes.byteLength !== content.byteLength) {
      throw new Error(`tflite buffer ${i + 1} has ${bytes.byteLength} bytes, not the promised ${content.byteLength}`);
    }
    yield bytes;
    at = start + 4 + bytes.byteLength;
  }
  if (tail.byteLength > 0) yield tail;
}
