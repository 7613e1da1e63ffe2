import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { MbertError, unlessMalformed } from '../../errors.ts';
import { isObject, type JsonValue } from '../../formats/json.ts';
import { readJson } from '../../importers/side-files.ts';
import { readWhole } from '../../io/files.ts';
import { outputStats } from '../../io/output-place.ts';
import type { WritingOptions } from '../../options/writing.ts';
import type { SideFile } from './layout.ts';
import { manifestPath } from './manifest.ts';

/** Files beside the models that are still to be written, and what is told of those that they replace. */
export interface SideFilePlan {
  readonly written: readonly SideFile[];
  readonly notes: readonly string[];
}

/**
 * Leaves out files that lie there already as they would be written. Throws USAGE for one that is another, and that no
 * earlier run has written by the manifest, unless replacing was asked for.
 */
export function planSideFiles(
  folder: string,
  files: readonly SideFile[],
  { force = false, dryRun = false }: Pick<WritingOptions, 'force' | 'dryRun'>,
): SideFilePlan {
  const own = ownHashes(folder);
  const notes: string[] = [];
  const written = files.filter(({ path, bytes }) => {
    const target = join(folder, path);
    const stats = outputStats(target);
    if (stats === undefined) return true;
    if (stats.isDirectory()) throw new MbertError('USAGE', `${target}: cannot be written: is a folder`);
    const there = hashOf(readWhole(target));
    if (there === hashOf(bytes)) return false;
    if (!force && !own.has(there)) {
      throw new MbertError('USAGE', `${target}: exists already, and mbert did not write it`, {
        hint: 'write into another folder, or say --force to replace it',
      });
    }
    notes.push(`${target}: ${dryRun ? 'would' : 'will'} be replaced`);
    return true;
  });
  return { written, notes };
}

/** Hashes of what an earlier run has written beside the models; in the source's own folder, what lay there is not its work. */
function ownHashes(folder: string): ReadonlySet<JsonValue | undefined> {
  // A manifest that is none has nothing to say.
  const manifest = unlessMalformed(() => readJson(manifestPath(folder)));
  const files = isObject(manifest) ? manifest.get('files') : undefined;
  const entries = Array.isArray(files) ? (files as readonly JsonValue[]).filter(isObject) : [];
  return new Set(entries.filter((file) => file.get('origin') !== 'source').map((file) => file.get('sha256')));
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
