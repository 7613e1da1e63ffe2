import { createHash } from 'node:crypto';
import { basename, join, relative, resolve, sep } from 'node:path';
import { hashFile } from '../../io/file-hash.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { LayoutName } from '../../options/forms.ts';
import { VERSION } from '../../version.ts';
import type { SideFile } from './layout.ts';
import type { Measured, VocabularySizes, WrittenForm } from './types.ts';

/** Name of the manifest in a folder. */
const MANIFEST = 'mbert.json';

/** Version of the manifest's own form, which `schemas/mbert.schema.json` describes. */
const MANIFEST_VERSION = 1;

export interface ManifestParts {
  readonly folder: string;
  readonly layout: LayoutName | undefined;
  readonly model: OpenedModel;
  readonly vocabulary: VocabularySizes | undefined;
  readonly forms: readonly WrittenForm[];
  readonly sideFiles: readonly SideFile[];
}

/**
 * The manifest of a folder: which file is which form, its hash and what it costs. It says nothing of when and where it was
 * made, so the same call gives the same bytes.
 */
export function manifestText({ folder, layout, model, vocabulary, forms, sideFiles }: ManifestParts): string {
  const manifest = {
    manifestVersion: MANIFEST_VERSION,
    mbert: VERSION,
    ...(layout && { layout }),
    model: { architecture: model.architecture, ...(model.task && { task: model.task }), source: basename(model.path) },
    ...(vocabulary && { vocabulary }),
    forms: forms.map((form) => formEntry(folder, form)),
    files: sideFiles.map(({ path, bytes, from }) => ({
      path,
      bytes: bytes.byteLength,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      origin: originOf(from, join(folder, path)),
    })),
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** Whether a file was made, copied, or is the source's own in the same folder. */
function originOf(from: string | undefined, path: string): 'made' | 'copied' | 'source' {
  if (from === undefined) return 'made';
  return resolve(from) === resolve(path) ? 'source' : 'copied';
}

function formEntry(folder: string, form: WrittenForm) {
  const { target, files, openedBy, measured, calibration, inputs, outputs } = form;
  return {
    form: form.form,
    format: target,
    files: files.map(({ path, size }) => ({
      path: relative(folder, path).split(sep).join('/'),
      bytes: size,
      sha256: hashFile(createHash('sha256'), path).digest('hex'),
    })),
    ...(openedBy && { openedBy }),
    inputs: inputs.map(({ name, type }) => ({ name, type })),
    outputs: outputs.map(({ name, type }) => ({ name, type })),
    ...(measured && !Number.isNaN(measured.sqnrDb) && { measured: measuredEntry(measured) }),
    ...(calibration && { calibration }),
  };
}

/** Rounded to what is the same in every run: sums in a runtime depend on how it shares work among threads. */
function measuredEntry({ against, on, count, runtime, sqnrDb, agreement, correlation, cosine, accuracy }: Measured) {
  return {
    against,
    on,
    count,
    runtime,
    // JSON has no infinity; null stands for outputs that are equal bit for bit.
    sqnrDb: Number.isFinite(sqnrDb) ? Number(sqnrDb.toFixed(1)) : null,
    ...(agreement !== undefined && { agreement: share(agreement) }),
    ...(correlation !== undefined && { correlation: share(correlation) }),
    ...(cosine !== undefined && { cosine: share(cosine) }),
    ...(accuracy && { accuracy: { float: share(accuracy.float), form: share(accuracy.form) } }),
  };
}

function share(value: number): number {
  return Number(value.toFixed(4));
}

/** The path of the manifest in a folder. */
export function manifestPath(folder: string): string {
  return join(folder, MANIFEST);
}
