import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MbertError } from '../../errors.ts';
import { fileError } from '../../io/file-error.ts';
import { makeFolder } from '../../io/files.ts';

/**
 * Takes the right to write a file, and returns how to give it back. A file beside it says so to other runs: two that
 * write one name at once would leave the model of one and the weights of the other. Throws USAGE where another run has
 * it.
 */
export function lockOutput(path: string): () => void {
  makeFolder(dirname(path));
  const lock = join(dirname(path), `.${basename(path)}.lock`);
  if (!tryLock(lock)) {
    const owner = ownerOf(lock);
    if (owner !== undefined && isRunning(owner)) {
      throw new MbertError('USAGE', `${path}: is being written by another run, process ${owner}`, {
        hint: 'wait for it, or write under another name',
      });
    }
    // Left by a process that was killed.
    rmSync(lock, { force: true });
    if (!tryLock(lock)) throw new MbertError('USAGE', `${path}: is being written by another run`);
  }
  return () => rmSync(lock, { force: true });
}

function tryLock(lock: string): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(lock, 'wx');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') return false;
    throw fileError(dirname(lock), 'cannot be written', cause);
  }
  try {
    writeSync(descriptor, String(process.pid));
  } catch (cause) {
    rmSync(lock, { force: true });
    throw fileError(dirname(lock), 'cannot be written', cause);
  } finally {
    closeSync(descriptor);
  }
  return true;
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
