import { inflateRawSync } from 'node:zlib';
import { MbertError } from '../errors.ts';
import type { ModelFile } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';
import { readNpy } from './npy.ts';
import { type ArchiveEntry, readArchive } from './zip-directory.ts';

/** Arrays of token ids, which are what mbert reads: 100,000 samples of 512 tokens take 410 MB as i64. */
const MAX_ARRAY_BYTES = 2 ** 29;

/**
 * The arrays of a file that numpy's savez or savez_compressed wrote, by name; each is read when its bytes are asked for.
 * Throws MALFORMED for an archive or array that is damaged, UNSUPPORTED for one that is too large.
 */
export function readNpz(file: ModelFile): ReadonlyMap<string, () => Tensor> {
  const arrays = new Map<string, () => Tensor>();
  for (const entry of readArchive(file).values()) {
    const name = /^(.+)\.npy$/.exec(entry.name)?.[1];
    if (name !== undefined) arrays.set(name, () => readNpy(contents(file, entry), `${file.path}: ${name}`));
  }
  return arrays;
}

function contents(file: ModelFile, entry: ArchiveEntry): Uint8Array {
  const { name, method, size, storedSize } = entry;
  const what = `${file.path}: ${name}`;
  if (size > MAX_ARRAY_BYTES) throw new MbertError('UNSUPPORTED', `${what}: ${size} bytes are over ${MAX_ARRAY_BYTES}`);
  const stored = file.read(entry.dataStart(), storedSize);
  if (method === 'stored') {
    if (storedSize === size) return stored;
    throw new MbertError('MALFORMED', `${what}: is stored as ${storedSize} bytes of ${size}`);
  }
  let bytes: Uint8Array;
  try {
    bytes = inflateRawSync(stored, { maxOutputLength: Math.max(size, 1) });
  } catch (cause) {
    throw new MbertError('MALFORMED', `${what}: does not inflate to its ${size} bytes`, { cause });
  }
  if (bytes.byteLength === size) return bytes;
  throw new MbertError('MALFORMED', `${what}: inflates to ${bytes.byteLength} bytes instead of ${size}`);
}
