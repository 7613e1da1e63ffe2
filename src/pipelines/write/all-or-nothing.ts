import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { WritePlan } from './plans.ts';

/** Runs the work that writes these files. Where it throws, files and folders are gone that were not there before. */
export async function allOrNothing<T>(plans: readonly WritePlan[], work: () => Promise<T>): Promise<T> {
  // External data lies beside its model.
  const files = plans
    .flatMap(({ path }) => [resolve(path), `${resolve(path)}.data`])
    .filter((path) => !existsSync(path));
  const folders = [...new Set(files.flatMap(absentFolders))];
  try {
    return await work();
  } catch (cause) {
    for (const file of files) if (existsSync(file)) rmSync(file);
    for (const folder of folders) if (isEmpty(folder)) rmdirSync(folder);
    throw cause;
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
