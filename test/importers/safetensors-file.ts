import { readFileSync, writeFileSync } from 'node:fs';
import { readSafetensors } from '../../src/formats/safetensors.ts';
import { openFile } from '../../src/io/files.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';

/** Writes a safetensors file of f32 tensors. */
export function writeSafetensors(path: string, tensors: Iterable<readonly [string, Tensor]>): void {
  const header: Record<string, unknown> = {};
  const parts: Buffer[] = [];
  let offset = 0;
  for (const [name, tensor] of tensors) {
    const values = readF32(tensor);
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    header[name] = { dtype: 'F32', shape: tensor.shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    parts.push(bytes);
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path, Buffer.concat([length, json, ...parts]));
}

/** The tensors of a safetensors file, read at once. */
export function tensorsOf(path: string): [string, Tensor][] {
  const file = openFile(path);
  try {
    return [...readSafetensors(file)].map(([name, tensor]) => {
      const bytes = tensor.bytes();
      return [name, { ...tensor, bytes: () => bytes }];
    });
  } finally {
    file.close();
  }
}

/** A JSON file as an object. */
export function readConfig(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
}
