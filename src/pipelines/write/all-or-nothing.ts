import { existsSync, linkSync, lstatSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { undoAtEnd } from '../../io/undo.ts';
import { lockOutput } from './lock.ts';
import type { WritePlan } from './plans.ts';

/**
 * Runs the work that writes these files, which no other run may write meanwhile. Where it throws, or a signal ends the
 * process, files and folders are gone that were not there before, and files that were are what they were: a model that
 * could not be verified does not take the place of one that was.
 */
export async function allOrNothing<T>(plans: readonly WritePlan[], work: () => Promise<T>): Promise<T> {
  // External data lies beside its model.
  const paths = plans.flatMap(({ path }) => [resolve(path), `${resolve(path)}.data`]);
  const files = paths.filter((path) => !existsSync(path));
  let kept: KeptFile[] = [];
  const folders = [...new Set(files.flatMap(absentFolders))];
  const unlocks: (() => void)[] = [];
  const unlock = () => {
    for (const each of unlocks.splice(0)) each();
  };
  const undo = () => {
    for (const file of files) if (existsSync(file)) rmSync(file);
    for (const { path, copy } of kept) renameSync(copy, path);
    unlock();
    for (const folder of folders) if (isEmpty(folder)) rmdirSync(folder);
  };
  const entry = undoAtEnd(undo);
  try {
    for (const { path } of plans) unlocks.push(lockOutput(path));
    kept = paths.flatMap(keepFile);
    const result = await work();
    for (const { copy } of kept.splice(0)) rmSync(copy, { force: true });
    return result;
  } catch (cause) {
    undo();
    throw cause;
  } finally {
    unlock();
    entry.forget();
  }
}

/** A file that was there before, under a second name. */
interface KeptFile {
  readonly path: string;
  readonly copy: string;
}

/** Gives a file that is there a second name, which takes no room. File systems without such names keep nothing. */
function keepFile(path: string): KeptFile[] {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (!stats?.isFile()) return [];
  const copy = `${path}.${process.pid}.old`;
  try {
    linkSync(path, copy);
    return [{ path, copy }];
  } catch {
    return [];
  }
}

/** Folders of a path that do not exist, the innermost first. */
function absentFolders(path: string): string[] {
  const folder = dirname(path);
  return existsSync(folder) ? [] : [folder, ...absentFolders(folder)];
}

function isEmpty(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length === 0;
}
