import { copyFileSync, existsSync, linkSync, lstatSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Runs the work that writes these files. Where it throws, all of them are as they were before: what was not there is gone,
 * folders included, and what was replaced is back.
 */
export async function allOrNothing<T>(
  outputs: readonly { readonly path: string }[],
  work: () => Promise<T>,
): Promise<T> {
  // External data lies beside its model.
  const files = [...new Set(outputs.flatMap(({ path }) => [resolve(path), `${resolve(path)}.data`]))];
  const absent = files.filter((path) => !existsSync(path));
  const folders = [...new Set(absent.flatMap(absentFolders))];
  const kept = files.filter(isFile).flatMap(keep);
  try {
    return await work();
  } catch (cause) {
    for (const file of absent) if (isFile(file)) rmSync(file);
    for (const { path, copy } of kept) renameSync(copy, path);
    for (const folder of folders) if (isEmpty(folder)) rmdirSync(folder);
    throw cause;
  } finally {
    // Renaming one name of a file to another of its names leaves both.
    for (const { copy } of kept) rmSync(copy, { force: true });
  }
}

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
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

/** Folders of a path that do not exist, the innermost first. */
function absentFolders(path: string): string[] {
  const folder = dirname(path);
  return existsSync(folder) ? [] : [folder, ...absentFolders(folder)];
}

function isEmpty(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length === 0;
}
