import { MbertError } from '../errors.ts';
import type { TokenizerFiles } from '../formats/tokenizer-files.ts';
import { tokenizerFilesAt } from '../importers/tokenizer-files.ts';
import { readWhole } from '../io/files.ts';
import type { Target } from '../passes/index.ts';

/** How a file is written, and what it carries besides the graph. */
export interface WritingOptions {
  /** How weights are stored. Default f32. */
  readonly dtype?: 'f32' | 'f16' | undefined;
  /** TFLite classification: probabilities in place of logits. */
  readonly softmax?: boolean | undefined;
  /** ONNX only: the operator set. Default 17, or what the model's types need. */
  readonly opset?: number | undefined;
  /** ONNX only: weights in a file beside the model. Default: only above 2 GiB. */
  readonly externalData?: boolean | undefined;
  /** TFLite only: the oldest TensorFlow release that must load the file, as `2.14`. */
  readonly minRuntime?: string | undefined;
  /** A file of class names, one a line, in place of the model's own. */
  readonly labels?: string | undefined;
  /** A vocab.txt or tokenizer.json in place of the model's own: texts are read with it, and TFLite files carry its vocabulary. */
  readonly vocab?: string | undefined;
}

/** How a file is written, files of the user's read and defaults filled in. */
export interface Writing {
  readonly dtype: 'f32' | 'f16';
  readonly softmax: boolean;
  readonly opset: number | undefined;
  readonly externalData: boolean | undefined;
  readonly minRuntime: string | undefined;
  readonly labels: { readonly path: string; readonly names: readonly string[] } | undefined;
  readonly tokenizer: TokenizerFiles | undefined;
}

/** `format` is undefined where both formats are written. Throws USAGE for an option of the other format, and what reading throws. */
export function writingOf(options: WritingOptions, output: string, format: Target | undefined): Writing {
  refuseMisplaced(options, output, format);
  const { dtype = 'f32', softmax = false, opset, externalData, minRuntime, labels, vocab } = options;
  return {
    dtype,
    softmax,
    opset,
    externalData,
    minRuntime,
    labels: labels === undefined ? undefined : { path: labels, names: readLines(labels) },
    tokenizer: vocab === undefined ? undefined : tokenizerFilesAt(vocab),
  };
}

function refuseMisplaced(options: WritingOptions, output: string, format: Target | undefined): void {
  const { softmax, minRuntime, opset, externalData } = options;
  const rows = [
    ['softmax', 'tflite', softmax],
    ['min-runtime', 'tflite', minRuntime],
    ['opset', 'onnx', opset],
    ['external-data', 'onnx', externalData],
  ] as const;
  for (const [flag, wanted, given] of rows) {
    if (given === undefined || given === false || format === undefined || format === wanted) continue;
    throw new MbertError('USAGE', `--${flag}: is for ${wanted} files, the output is ${output}`);
  }
}

function readLines(path: string): readonly string[] {
  const lines = new TextDecoder().decode(readWhole(path)).split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
