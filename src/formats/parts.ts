import { MbertError } from '../errors.ts';
import type { ModelFile } from '../io/files.ts';

/** Most files of one model: all stay open while it is read, and systems allow a process 1,024 by default. */
export const MAX_PARTS = 512;

/** Words for a part that is not there. */
interface Missing {
  readonly message: string;
  readonly hint: string;
}

/** Opens a file that `file` names and that lies beside it. Throws NOT_FOUND in the words of `missing`. */
export function openPart(file: ModelFile, name: string, missing: Missing = missingPart(file, name)): ModelFile {
  try {
    return file.sibling(name);
  } catch (cause) {
    if (!(cause instanceof MbertError) || cause.code !== 'NOT_FOUND') throw cause;
    throw new MbertError('NOT_FOUND', missing.message, { hint: missing.hint, cause });
  }
}

function missingPart(file: ModelFile, name: string): Missing {
  return {
    message: `${file.path}: names ${name}, which does not exist`,
    hint: 'fetch the missing part of the model into the same folder',
  };
}
