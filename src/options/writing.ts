import { MbertError } from '../errors.ts';
import type { TokenizerFiles } from '../formats/tokenizer-files.ts';
import { tokenizerFilesAt } from '../importers/tokenizer-files.ts';
import { decodeText } from '../io/bytes.ts';
import { readWhole } from '../io/files.ts';
import type { Target } from '../passes/index.ts';

/** Options for writing a file, and for what it carries besides the graph. */
export interface WritingOptions {
  /** Replaces files that are there already, whoever wrote them. Default: only those that mbert wrote. */
  readonly force?: boolean | undefined;
  /** Does everything but writing, and says how large the files would be. Nothing is verified or proven then. */
  readonly dryRun?: boolean | undefined;
  /** Float type of the stored weights. Default `f32`. */
  readonly dtype?: 'f32' | 'f16' | undefined;
  /** Outputs probabilities in place of logits, TFLite classification only. */
  readonly softmax?: boolean | undefined;
  /** Names of the outputs to write, in this order. Default: all; in TFLite an embedding or a score alone. */
  readonly outputs?: readonly string[] | undefined;
  /** Writes a model of two inputs, which takes every token for one of the first text. Default false. */
  readonly dropTokenTypes?: boolean | undefined;
  /** Operator set, ONNX only. Default 17, or what the model's types need. */
  readonly opset?: number | undefined;
  /** Stores weights in a file beside the model, ONNX only. Default: only above 2 GiB. */
  readonly externalData?: boolean | undefined;
  /** Oldest TensorFlow release that must load the file, as `2.14`, TFLite only. */
  readonly minRuntime?: string | undefined;
  /** A file of class names, one a line, in place of the model's own. */
  readonly labels?: string | undefined;
  /** A vocab.txt or tokenizer.json in place of the model's own: texts are read with it, and TFLite files carry its vocabulary. */
  readonly vocab?: string | undefined;
}

/** Settings for writing a file, with the user's files read and defaults filled in. */
export interface Writing {
  readonly dtype: 'f32' | 'f16';
  readonly softmax: boolean;
  readonly outputs: readonly string[] | undefined;
  readonly dropTokenTypes: boolean;
  /** True where a file takes token types that nothing reads: MediaPipe opens files of one input or three. */
  readonly unusedTokenTypes: boolean;
  readonly opset: number | undefined;
  /** The operators that an ONNX file may use: those of the standard, or ONNX Runtime's own besides. */
  readonly operators: 'standard' | 'onnxruntime';
  readonly externalData: boolean | undefined;
  readonly minRuntime: string | undefined;
  readonly labels: { readonly path: string; readonly names: readonly string[] } | undefined;
  readonly tokenizer: TokenizerFiles | undefined;
  readonly dryRun: boolean;
}

/**
 * Fills in the defaults and reads the user's files. `format` is undefined where both formats are written. Throws USAGE
 * for an option of the other format, and what reading files throws.
 */
export function writingOf(options: WritingOptions, output: string, format: Target | undefined): Writing {
  refuseMisplaced(options, output, format);
  refuseOutputs(options.outputs);
  const { dtype = 'f32', softmax = false, dropTokenTypes = false, dryRun = false } = options;
  const { outputs, opset, externalData, minRuntime, labels, vocab } = options;
  return {
    dtype,
    softmax,
    outputs,
    dropTokenTypes,
    unusedTokenTypes: false,
    opset,
    operators: 'standard',
    externalData,
    minRuntime,
    labels: labels === undefined ? undefined : { path: labels, names: readLines(labels) },
    tokenizer: vocab === undefined ? undefined : tokenizerFilesAt(vocab),
    dryRun,
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
  for (const [flag, owner, value] of rows) {
    if (value === undefined || value === false || format === undefined || format === owner) continue;
    throw new MbertError('USAGE', `--${flag}: is for ${owner} files, the output is ${output}`);
  }
}

/** Throws USAGE for no output and for one that is named twice: runtimes refuse such files. */
function refuseOutputs(outputs: readonly string[] | undefined): void {
  if (outputs?.length === 0) throw new MbertError('USAGE', '--outputs: names no output');
  const twice = outputs?.find((name, i) => outputs.indexOf(name) !== i);
  if (twice !== undefined) throw new MbertError('USAGE', `--outputs: names ${twice} twice`);
}

function readLines(path: string): readonly string[] {
  const lines = decodeText(readWhole(path), path).split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
