import { join } from 'node:path';
import { MbertError } from '../../errors.ts';
import type { Target } from '../../passes/index.ts';

/** One file to write. */
export interface WritePlan {
  readonly target: Target;
  readonly path: string;
}

/**
 * The file that `--output` names, or one of each format in the folder that it names. Throws USAGE for another
 * extension.
 */
export function writePlans(output: string): readonly WritePlan[] {
  refuseStandardOutput(output);
  const target = targetOf(output);
  if (target !== undefined) return [{ target, path: output }];
  return (['tflite', 'onnx'] as const).map((format) => ({ target: format, path: join(output, `model.${format}`) }));
}

/** Throws USAGE for `-`, which other programs take for standard output and a model is not written to. */
export function refuseStandardOutput(output: string): void {
  if (output !== '-') return;
  throw new MbertError('USAGE', '--output -: a model is written to a file, not to standard output', {
    hint: 'name a .tflite or .onnx file, or a folder; ./- is a folder of that name',
  });
}

/**
 * The format by a file name's extension, undefined for a folder. Throws USAGE for another extension; `folder` says what
 * a folder would get.
 */
export function targetOf(path: string, folder = 'a folder gets both'): Target | undefined {
  const extension = extensionOf(path);
  if (extension === 'onnx' || extension === 'tflite') return extension;
  if (extension === undefined) return undefined;
  throw new MbertError('USAGE', `${path}: mbert writes .tflite and .onnx files, not .${extension}`, {
    hint: `${folder}; its name has no extension, or ends with /`,
  });
}

/** Throws USAGE for the name of a file where a folder is written; `who` says by what. */
export function refuseFile(output: string, who: string): void {
  if (extensionOf(output) === undefined) return;
  throw new MbertError('USAGE', `--output: ${output}: ${who} a folder`, {
    hint: `name one, as ${output.replace(/\.[^./\\]+$/, '')}/; what ends with / is one`,
  });
}

/**
 * What stands behind the last dot of a name, in small letters; undefined for a name that ends with a slash, and for a
 * version without a letter, as in v1.5.
 */
function extensionOf(path: string): string | undefined {
  return /\.([^./\\]*[a-z][^./\\]*)$/i.exec(path)?.[1]?.toLowerCase();
}
