import { copyFileSync, existsSync, linkSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { outputStats } from '../../io/output-place.ts';
import { replaceFile } from '../../io/replace-file.ts';
import { undoAtEnd } from '../../io/undo.ts';
import { lockOutput } from './lock.ts';

/**
 * Runs the work that writes these files, which no other run may write meanwhile. Where it throws, or a signal ends the
 * process, all of them are as they were before: what was not there is gone, folders included, and what was replaced is back.
 */
export async function allOrNothing<T>(
  outputs: readonly { readonly path: string }[],
  work: () => Promise<T>,
): Promise<T> {
  // External data lies beside its model.
  const files = [...new Set(outputs.flatMap(({ path }) => [resolve(path), `${resolve(path)}.data`]))];
  const absent = files.filter((path) => !existsSync(path));
  // The innermost first, so that each is empty when its turn comes.
  const folders = [...new Set(absent.flatMap(absentFolders))].sort((a, b) => b.length - a.length);
  const kept: { readonly path: string; readonly copy: string }[] = [];
  const unlocks: (() => void)[] = [];
  let isLocked = false;
  const unlock = () => {
    for (const each of unlocks.splice(0)) each();
  };
  const forget = () => {
    // Renaming one name of a file to another of its names leaves both.
    for (const { copy } of kept.splice(0)) rmSync(copy, { force: true });
  };
  const undo = () => {
    // What another run writes meanwhile is not ours to remove.
    if (isLocked) for (const file of absent) if (isFile(file)) rmSync(file);
    for (const { path, copy } of kept) replaceFile(copy, path);
    forget();
    unlock();
    for (const folder of folders) if (isEmpty(folder)) rmdirSync(folder);
  };
  const entry = undoAtEnd(undo);
  try {
    for (const { path } of outputs) unlocks.push(lockOutput(path));
    isLocked = true;
    kept.push(...files.filter(isFile).flatMap(keep));
    return await work();
  } catch (cause) {
    undo();
    throw cause;
  } finally {
    forget();
    unlock();
    entry.forget();
  }
}

function isFile(path: string): boolean {
  return outputStats(path)?.isFile() ?? false;
}

/** Keeps what a file holds under a second name, as a link where the file system has them; nothing where it cannot be written. */
function keep(path: string): { readonly path: string; readonly copy: string }[] {
  const copy = `${path}.${process.pid}.old`;
  for (const make of [linkSync, copyFileSync]) {
    try {
      make(path, copy);
      return [{ path, copy }];
    } catch {
      rmSync(copy, { force: true });
    }
  }
  return [];
}

/** Folders of a path that do not exist. */
function absentFolders(path: string): string[] {
  const folder = dirname(path);
  return existsSync(folder) ? [] : [folder, ...absentFolders(folder)];
}

function isEmpty(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length === 0;
}
