import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MbertError } from '../../errors.ts';
import { fileError } from '../../io/files.ts';

/**
 * Takes the right to write a file, and returns how to give it back. A file beside it says so to other runs: two that
 * write one name at once would leave the model of one and the weights of the other. Throws USAGE where another run has
 * it.
 */
export function lockOutput(path: string): () => void {
  const lock = join(dirname(path), `.${basename(path)}.lock`);
  if (!tryLock(path, lock)) {
    const owner = ownerOf(lock);
    if (owner !== undefined && isRunning(owner)) {
      throw new MbertError('USAGE', `${path}: is being written by another run, process ${owner}`, {
        hint: 'wait for it, or write under another name',
      });
    }
    // Left by a process that was killed.
    rmSync(lock, { force: true });
    if (!tryLock(path, lock)) throw new MbertError('USAGE', `${path}: is being written by another run`);
  }
  return () => rmSync(lock, { force: true });
}

function tryLock(path: string, lock: string): boolean {
  try {
    mkdirSync(dirname(lock), { recursive: true });
    const descriptor = openSync(lock, 'wx');
    writeSync(descriptor, String(process.pid));
    closeSync(descriptor);
    return true;
  } catch (cause) {
    const isThere = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST' && existsSync(lock);
    if (isThere) return false;
    throw fileError(path, 'cannot be written', cause);
  }
}

function ownerOf(lock: string): number | undefined {
  try {
    const owner = Number(readFileSync(lock, 'utf8'));
    return Number.isSafeInteger(owner) && owner > 0 ? owner : undefined;
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    // Somebody else's process may be there, and not be ours to signal.
    return cause instanceof Error && 'code' in cause && cause.code === 'EPERM';
  }
}
