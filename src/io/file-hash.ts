import type { Hash } from 'node:crypto';
import { withFile } from './files.ts';

/** Bytes of a file that are hashed at once. */
const CHUNK_BYTES = 4 * 2 ** 20;

/** Adds a file's content to a hash, by ranges. Throws what opening and reading throw. */
export function hashFile(hash: Hash, path: string): Hash {
  return withFile(path, (file) => {
    for (let at = 0; at < file.size; at += CHUNK_BYTES)
      hash.update(file.read(at, Math.min(CHUNK_BYTES, file.size - at)));
    return hash;
  });
}
