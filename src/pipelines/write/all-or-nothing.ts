import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { undoAtEnd } from '../../io/undo.ts';
import { lockOutput } from './lock.ts';
import type { WritePlan } from './plans.ts';

/**
 * Runs the work that writes these files, which no other run may write meanwhile. Where it throws, or a signal ends the
 * process, files and folders are gone that were not there before.
 */
export async function allOrNothing<T>(plans: readonly WritePlan[], work: () => Promise<T>): Promise<T> {
  // External data lies beside its model.
  const files = plans
    .flatMap(({ path }) => [resolve(path), `${resolve(path)}.data`])
    .filter((path) => !existsSync(path));
  const folders = [...new Set(files.flatMap(absentFolders))];
  const unlocks: (() => void)[] = [];
  const unlock = () => {
    for (const each of unlocks.splice(0)) each();
  };
  const undo = () => {
    for (const file of files) if (existsSync(file)) rmSync(file);
    unlock();
    for (const folder of folders) if (isEmpty(folder)) rmdirSync(folder);
  };
  const entry = undoAtEnd(undo);
  try {
    for (const { path } of plans) unlocks.push(lockOutput(path));
    return await work();
  } catch (cause) {
    undo();
    throw cause;
  } finally {
    unlock();
    entry.forget();
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
