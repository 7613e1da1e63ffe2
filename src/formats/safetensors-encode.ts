import { sizeOf } from '../ir/shape.ts';
import { readF32, type Tensor } from '../ir/tensor.ts';

/** Readers want the data at a multiple of 8 bytes. */
const ALIGNMENT = 8;

/**
 * Encodes tensors as `safetensorsChunks` does, for writers that wait between chunks. transformers reads no file whose
 * metadata does not say `pt`.
 */
export async function* encodeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: { readonly [key: string]: string } = {},
): AsyncIterable<Uint8Array> {
  yield* safetensorsChunks(tensors, { format: 'pt', ...metadata });
}

/**
 * Encodes tensors as a safetensors file (https://github.com/huggingface/safetensors#format) of f32, one after the other
 * in their order. Each is read when its turn comes, so that no more than one is held.
 */
export function* safetensorsChunks(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: { readonly [key: string]: string },
): Iterable<Uint8Array> {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const [name, { shape }] of tensors) {
    const begin = end;
    end += 4 * sizeOf(shape);
    header[name] = { dtype: 'F32', shape, data_offsets: [begin, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(json.byteLength / ALIGNMENT) * ALIGNMENT;
  const head = new Uint8Array(8 + length).fill(' '.charCodeAt(0));
  new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
  head.set(json, 8);
  yield head;
  for (const tensor of tensors.values()) {
    const values = readF32(tensor);
    yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }
}
