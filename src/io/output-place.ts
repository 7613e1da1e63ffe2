import { lstatSync, readlinkSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MbertError } from '../errors.ts';
import { fileError } from './file-error.ts';

/** Place where the bytes of an output go. */
export interface OutputPlace {
  /** Path of the file itself, behind symbolic links, which stay. */
  readonly path: string;
  /** False for devices and pipes, which are written to and cannot be replaced. */
  readonly isReplaced: boolean;
}

/** Most links that lead to one another. */
const MAX_LINKS = 40;

/**
 * Finds where an output goes: a symbolic link keeps leading to its file, and a device or pipe stays one. Throws USAGE
 * for a folder.
 */
export function outputPlace(path: string): OutputPlace {
  const target = behindLinks(path);
  const stats = statSync(target, { throwIfNoEntry: false });
  if (stats?.isDirectory()) throw new MbertError('USAGE', `${path}: cannot be written: is a folder`);
  return { path: target, isReplaced: stats === undefined || stats.isFile() };
}

/** The path that a link leads to, whether something is there or not. */
function behindLinks(path: string): string {
  let target = path;
  for (let links = 0; lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink(); links++) {
    if (links === MAX_LINKS) throw new MbertError('USAGE', `${path}: cannot be written: its links lead to one another`);
    if (statSync(target, { throwIfNoEntry: false }) !== undefined) return realpathSync(target);
    target = resolve(dirname(target), readlinkSync(target));
  }
  return target;
}

/**
 * Returns the stats of whatever lies at the path of an output, undefined where nothing does. Throws USAGE where its
 * folder is a file.
 */
export function outputStats(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw fileError(dirname(path), 'cannot be written', cause);
  }
}
