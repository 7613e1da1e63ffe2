import { MbertError } from '../../errors.ts';
import { withFile } from '../../io/files.ts';
import { isBeingRead } from '../../io/open-sources.ts';
import { outputStats } from '../../io/output-place.ts';
import type { WritingOptions } from '../../options/writing.ts';
import type { WritePlan } from './plans.ts';

/** Key that every file of mbert carries, ONNX and TFLite. */
const MARK = 'mbert.version';
const CHUNK_BYTES = 2 ** 20;

/**
 * Notes which files will be replaced. Throws USAGE for one that mbert did not write, unless replacing was asked for:
 * what cannot be made again is not lost by a slip.
 */
export function replacedFiles(
  plans: readonly WritePlan[],
  { force = false, dryRun = false }: Pick<WritingOptions, 'force' | 'dryRun'>,
): string[] {
  return plans.flatMap(({ path }) => {
    const stats = outputStats(path);
    if (stats === undefined) return [];
    if (stats.isDirectory()) throw new MbertError('USAGE', `${path}: cannot be written: is a folder`);
    if (!force && !(stats.isFile() && isOwn(path))) {
      throw new MbertError('USAGE', `${path}: exists already, and mbert did not write it`, {
        hint: 'write under another name, or say --force to replace it',
      });
    }
    return [`${path}: ${dryRun ? 'would' : 'will'} be replaced`];
  });
}

/** Throws USAGE where a file that is read would be replaced by what is made of it. */
export function refuseSource(plans: readonly WritePlan[]): void {
  for (const { path } of plans) {
    const own = [path, `${path}.data`].find(isBeingRead);
    if (own === undefined) continue;
    throw new MbertError('USAGE', `${own}: is the source itself`, { hint: 'write under another name' });
  }
}

function isOwn(path: string): boolean {
  return withFile(path, (file) => {
    // Chunks overlap, so that the mark is in one of them wherever it lies.
    for (let at = 0; at < file.size; at += CHUNK_BYTES - MARK.length) {
      const length = Math.min(CHUNK_BYTES, file.size - at);
      if (Buffer.from(file.read(at, length).buffer).includes(MARK)) return true;
    }
    return false;
  });
}
