import { fstatSync, type Stats, statSync } from 'node:fs';
import { MbertError } from '../errors.ts';

/** A file that is open for reading, as it was when it was opened. */
interface OpenSource {
  readonly descriptor: number;
  readonly path: string;
  readonly identity: string;
  readonly size: number;
  readonly mtimeMs: number;
}

/** Files that are open for reading: descriptors are the process's as well. */
const reading = new Set<OpenSource>();

/** Remembers a file that was opened for reading, until `forget`. */
export function rememberSource(descriptor: number, path: string): { forget(): void } {
  const stats = fstatSync(descriptor);
  const source = { descriptor, path, identity: identityOf(stats), size: stats.size, mtimeMs: stats.mtimeMs };
  reading.add(source);
  return { forget: () => reading.delete(source) };
}

/** True for a path of a file that is open for reading, under whatever name. */
export function isBeingRead(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return false;
  const identity = identityOf(stats);
  return [...reading].some((source) => source.identity === identity);
}

/**
 * Throws MISMATCH where a file was written to since it was opened for reading: what is made of it would be half of one
 * model and half of another. A file that was replaced by name is still the old one to whoever has it open.
 */
export function refuseChangedSources(): void {
  for (const { descriptor, path, size, mtimeMs } of reading) {
    const now = fstatSync(descriptor);
    if (now.size === size && now.mtimeMs === mtimeMs) continue;
    throw new MbertError('MISMATCH', `${path}: was written to while it was read`, {
      hint: 'start again once it is complete',
    });
  }
}

function identityOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}
