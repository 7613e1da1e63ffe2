import { copyFileSync, existsSync, linkSync, lstatSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { undoAtEnd } from '../../io/undo.ts';
import { lockOutput } from './lock.ts';

/**
 * Runs the work that writes these files, which no other run may write meanwhile. Where it throws, or a signal ends the
 * process, all of them are as they were before: what was not there is gone, folders included, and what was replaced is
 * back.
 */
export async function allOrNothing<T>(
  outputs: readonly { readonly path: string }[],
  work: () => Promise<T>,
): Promise<T> {
  // External data lies beside its model.
  const files = [...new Set(outputs.flatMap(({ path }) => [resolve(path), `${resolve(path)}.data`]))];
  const absent = files.filter((path) => !existsSync(path));
  const folders = [...new Set(absent.flatMap(absentFolders))];
  const kept: Kept[] = [];
  const unlocks: (() => void)[] = [];
  const unlock = () => {
    for (const each of unlocks.splice(0)) each();
  };
  const undo = () => {
    for (const file of absent) if (isFile(file)) rmSync(file);
    for (const { path, copy } of kept) if (existsSync(copy)) renameSync(copy, path);
    unlock();
    for (const folder of folders) if (isEmpty(folder)) rmdirSync(folder);
  };
  const entry = undoAtEnd(undo);
  try {
    for (const { path } of outputs) unlocks.push(lockOutput(path));
    for (const file of files.filter(isFile)) kept.push(...keep(file));
    return await work();
  } catch (cause) {
    undo();
    throw cause;
  } finally {
    unlock();
    // Renaming one name of a file to another of its names leaves both.
    for (const { copy } of kept) rmSync(copy, { force: true });
    entry.forget();
  }
}

/** A file that may be replaced, under a second name. */
interface Kept {
  readonly path: string;
  readonly copy: string;
}

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** Keeps what a file holds under a second name, as a link where the file system has them; nothing where it cannot be written. */
function keep(path: string): Kept[] {
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

/** Folders of a path that do not exist, the innermost first. */
function absentFolders(path: string): string[] {
  const folder = dirname(path);
  return existsSync(folder) ? [] : [folder, ...absentFolders(folder)];
}

function isEmpty(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length === 0;
}
