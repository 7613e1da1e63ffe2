import { MbertError } from '../errors.ts';
import { openFile } from '../io/files.ts';
import { runtimeFor } from '../runtimes/index.ts';
import { onnxRules, tfliteRules } from './index.ts';
import { externalData } from './onnx/external-data.ts';
import { type Product, predictKernels, withPrediction } from './onnx/kernels.ts';
import { openOnnx } from './onnx/model.ts';
import { lint, type RuleFinding } from './rule.ts';
import { readTfliteModel } from './tflite/model.ts';
import { type DelegationPrediction, predictDelegation } from './tflite/xnnpack.ts';

/** The result of linting a file. */
export interface LintResult {
  readonly format: 'tflite' | 'onnx';
  /** The number of rules there are for the format. */
  readonly rules: number;
  /** The findings of all rules, errors first. */
  readonly findings: readonly RuleFinding[];
  /** Whether no finding is an error. */
  readonly ok: boolean;
}

/** The largest TFLite file that is linted: rules look at all of it, weights included, so it must fit into memory. */
const MAX_BYTES = 2 ** 31;

/**
 * Checks a written TFLite or ONNX file by every rule. Throws UNKNOWN_FORMAT for a format without rules, MALFORMED for a
 * broken file, UNSUPPORTED for a TFLite file of more than 2 GiB.
 */
export function lintFile(path: string): LintResult {
  // A damaged file is recognized by its name only; its reader then says what is wrong with it.
  const isOnnx = path.endsWith('.onnx') || runtimeFor(path).name === 'onnxruntime';
  return isOnnx ? lintOnnx(path) : lintBytes(readWhole(path), path);
}

/** Checks a TFLite file's bytes by every rule; `name` is what errors call it. Throws as `lintFile` does. */
export function lintBytes(bytes: Uint8Array, name: string): LintResult {
  const findings = lint(tfliteRules, readTfliteModel(checkFormat(bytes, name), name));
  return resultOf('tflite', tfliteRules.length, findings);
}

function lintOnnx(path: string): LintResult {
  const opened = openOnnx(path);
  try {
    // Rules look at weights, which are not there where their file cannot be read.
    const isReadable = opened.model.unreadable.size === 0;
    const findings = isReadable ? lint(onnxRules, withPrediction(opened.model)) : lint([externalData], opened.model);
    return resultOf('onnx', onnxRules.length, findings);
  } finally {
    opened.close();
  }
}

function resultOf(format: LintResult['format'], rules: number, findings: readonly RuleFinding[]): LintResult {
  return { format, rules, findings, ok: findings.every(({ severity }) => severity !== 'error') };
}

/** Predicts which operators of a TFLite file XNNPACK takes, and in how many partitions. Throws as `lintFile` does. */
export function predictXnnpack(path: string): DelegationPrediction {
  return predictDelegation(readTfliteModel(checkFormat(readWhole(path), path), path));
}

/**
 * Predicts which kernel ONNX Runtime runs for each product of an ONNX file that has integers in it. Throws MALFORMED
 * for a file that is not ONNX, UNSUPPORTED for tensor types that mbert does not have.
 */
export function predictOnnxRuntime(path: string): readonly Product[] {
  const { model, close } = openOnnx(path);
  try {
    return predictKernels(model);
  } finally {
    close();
  }
}

function readWhole(path: string): Uint8Array {
  const file = openFile(path);
  try {
    if (file.size > MAX_BYTES) throw new MbertError('UNSUPPORTED', `${path}: ${file.size} bytes are too many to lint`);
    return file.read(0, file.size);
  } finally {
    file.close();
  }
}

/** The place of the file identifier in a FlatBuffer, in bytes. */
const IDENTIFIER = { start: 4, end: 8 };

function checkFormat(bytes: Uint8Array, name: string): Uint8Array {
  const identifier = String.fromCharCode(...bytes.subarray(IDENTIFIER.start, IDENTIFIER.end));
  if (identifier === 'TFL3') return bytes;
  throw new MbertError('UNKNOWN_FORMAT', `${name}: there are rules for .tflite and .onnx files only`, {
    hint: 'convert it first',
  });
}
