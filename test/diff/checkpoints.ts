import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A copy of a checkpoint in safetensors with some tensors changed in place, at `target`. */
export function changedCheckpoint(
  source: string,
  target: string,
  change: (name: string, values: Float32Array) => void,
): string {
  cpSync(source, target, { recursive: true });
  const path = join(target, 'model.safetensors');
  const bytes = readFileSync(path);
  const headerSize = Number(bytes.readBigUInt64LE(0));
  const header: { [name: string]: { readonly data_offsets: readonly [number, number] } } = JSON.parse(
    bytes.toString('utf8', 8, 8 + headerSize),
  );
  for (const [name, { data_offsets: offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [start, end] = [8 + headerSize + offsets[0], 8 + headerSize + offsets[1]];
    const values = new Float32Array(new Uint8Array(bytes.subarray(start, end)).buffer);
    change(name, values);
    bytes.set(new Uint8Array(values.buffer), start);
  }
  writeFileSync(path, bytes);
  return target;
}
