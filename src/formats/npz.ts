import { MbertError } from '../errors.ts';
import type { ModelFile } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';
import { readNpy } from './npy.ts';
import { type ArchiveEntry, inflateEntry, readArchive, storedStart } from './zip-directory.ts';

/**
 * Most bytes of all arrays together, which an archive may hold in a thousandth of that: ids, masks and types of 20,000
 * samples of 512 tokens take 246 MB as i64.
 */
const MAX_ARRAYS_BYTES = 2 ** 28;

/**
 * Finds the arrays of a file that numpy's savez or savez_compressed wrote, by name; each is read when it is asked for.
 * Throws MALFORMED for an archive or array that is damaged, UNSUPPORTED for one that is too large.
 */
export function readNpz(file: ModelFile): ReadonlyMap<string, () => Tensor> {
  const arrays = new Map<string, () => Tensor>();
  let bytesLeft = MAX_ARRAYS_BYTES;
  const take = ({ name, size }: ArchiveEntry) => {
    bytesLeft -= size;
    if (bytesLeft >= 0) return;
    throw new MbertError('UNSUPPORTED', `${file.path}: ${name}: its arrays take more than ${MAX_ARRAYS_BYTES} bytes`, {
      hint: 'save a part of the samples, or .astype("int32")',
    });
  };
  for (const entry of readArchive(file).values()) {
    const name = /^(.+)\.npy$/.exec(entry.name)?.[1];
    if (name !== undefined) {
      arrays.set(name, () => {
        take(entry);
        return readNpy(contents(file, entry), `${file.path}: ${name}`);
      });
    }
  }
  return arrays;
}

function contents(file: ModelFile, entry: ArchiveEntry): Uint8Array {
  const { method, size } = entry;
  return method === 'stored' ? file.read(storedStart(file, entry), size) : inflateEntry(file, entry);
}
