import { MbertError } from '../errors.ts';
import type { ModelFile } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';
import { readNpy } from './npy.ts';
import { type ArchiveEntry, inflateEntry, readArchive, storedStart } from './zip-directory.ts';

/** Most bytes of an array. What mbert reads are token ids: 100,000 samples of 512 tokens take 410 MB as i64. */
const MAX_ARRAY_BYTES = 2 ** 29;

/**
 * Finds the arrays of a file that numpy's savez or savez_compressed wrote, by name; each is read when it is asked for.
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
  const { name, method, size } = entry;
  if (size > MAX_ARRAY_BYTES)
    throw new MbertError('UNSUPPORTED', `${file.path}: ${name}: ${size} bytes are over ${MAX_ARRAY_BYTES}`);
  return method === 'stored' ? file.read(storedStart(file, entry), size) : inflateEntry(file, entry);
}
