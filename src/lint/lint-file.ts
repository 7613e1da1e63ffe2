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

export interface LintResult {
  readonly format: 'tflite' | 'onnx';
  /** How many rules were asked. */
  readonly rules: number;
  /** Errors first. */
  readonly findings: readonly RuleFinding[];
  /** No finding is an error. */
  readonly ok: boolean;
}

/** Rules for TFLite are asked of the whole file, weights included, so it must fit into memory. */
const MAX_BYTES = 2 ** 31;

/** Asks every rule of a written file. Throws UNKNOWN_FORMAT for what has no rules, MALFORMED for a broken file. */
export function lintFile(path: string): LintResult {
  // A damaged file is known by its name only; what is wrong with it is then said by the reader.
  const isOnnx = path.endsWith('.onnx') || runtimeFor(path).name === 'onnxruntime';
  return isOnnx ? lintOnnx(path) : lintBytes(readWhole(path), path);
}

/** The same for a TFLite file's bytes; `name` is what errors call it. */
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

/** Which operators of a TFLite file XNNPACK would take, and in how many partitions. Throws as `lintFile` does. */
export function predictXnnpack(path: string): DelegationPrediction {
  return predictDelegation(readTfliteModel(checkFormat(readWhole(path), path), path));
}

/** What ONNX Runtime runs each product of an ONNX file as that has integers in it. Throws what reading ONNX throws. */
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

/** Where a FlatBuffer has its file identifier. */
const IDENTIFIER = { start: 4, end: 8 };

function checkFormat(bytes: Uint8Array, name: string): Uint8Array {
  const identifier = String.fromCharCode(...bytes.subarray(IDENTIFIER.start, IDENTIFIER.end));
  if (identifier === 'TFL3') return bytes;
  throw new MbertError('UNKNOWN_FORMAT', `${name}: there are rules for .tflite and .onnx files only`, {
    hint: 'convert it first',
  });
}
