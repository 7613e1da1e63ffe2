import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { undoAtEnd } from './undo.ts';

/** A folder in the system's place for temporary files. */
export interface TemporaryFolder {
  readonly path: string;
  /** Removes it with all that is in it. A signal that ends the process does so, too. */
  remove(): void;
}

/** Makes a folder `mbert-<what>-…` that is readable for this user alone. */
export function makeTemporaryFolder(what: string): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), `mbert-${what}-`));
  const removal = () => rmSync(path, { recursive: true, force: true });
  const entry = undoAtEnd(removal);
  return {
    path,
    remove() {
      removal();
      entry.forget();
    },
  };
}
