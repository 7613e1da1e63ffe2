import { realpathSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { malformed } from '../errors.ts';

/** Folder of a hub's cache that holds revisions of a model, and the one beside it to whose files they link. */
const SNAPSHOTS = 'snapshots';
const BLOBS = 'blobs';

/**
 * Refuses a file of a model that is a symbolic link out of the model's folder: archives can hold such links, and what
 * they lead to would be copied into what is written. Links of a hub's cache lead to its blobs. `path` is the model's,
 * `part` that of the file; one that is not there is left to whoever opens it.
 */
export function refuseLeavingLink(path: string, part: string): void {
  const real = realOrNull(part);
  const folder = realOrNull(dirname(resolve(path)));
  if (real === null || folder === null) return;
  const places = [folder, blobsOf(folder)].filter((place) => place !== undefined);
  if (places.some((place) => real.startsWith(place.endsWith(sep) ? place : place + sep))) return;
  throw malformed(part, "is a link that leaves the model's folder", 'put a copy of the file into the folder');
}

function blobsOf(folder: string): string | undefined {
  const steps = folder.split(sep);
  const at = steps.lastIndexOf(SNAPSHOTS);
  return at < 0 ? undefined : join(steps.slice(0, at).join(sep) || sep, BLOBS);
}

function realOrNull(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
