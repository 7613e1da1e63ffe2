import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MbertError } from '../errors.ts';
import { fileError } from './file-error.ts';
import { undoAtEnd } from './undo.ts';

/** A folder in the system's place for temporary files. */
export interface TemporaryFolder {
  readonly path: string;
  /** Removes it with all that is in it. A signal that ends the process does so, too. */
  remove(): void;
}

function makeFolder(what: string): string {
  try {
    return mkdtempSync(join(tmpdir(), `mbert-${what}-`));
  } catch (cause) {
    const { code, message } = fileError(tmpdir(), 'cannot hold temporary files', cause);
    const hint = 'set TMPDIR (TEMP on Windows) to a folder with room for a copy of the model';
    throw new MbertError(code, message, { hint, cause });
  }
}

/** Makes a folder `mbert-<what>-…` that is readable for this user alone. */
export function makeTemporaryFolder(what: string): TemporaryFolder {
  const path = makeFolder(what);
  // A runtime may have a file of it open for a moment more, which Windows does not remove.
  const removal = () => rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  const entry = undoAtEnd(removal);
  return {
    path,
    remove() {
      removal();
      entry.forget();
    },
  };
}
