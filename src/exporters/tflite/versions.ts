import type { builtinOperatorValues, Operator } from '../../formats/tflite/generated/model.ts';
import type { Draft } from '../../formats/tflite/table.ts';
import type { DType, TensorType } from '../../ir/tensor.ts';

/** Types and options that an operator's version depends on. */
export interface OperatorForm {
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  readonly options: Draft<Operator>['builtinOptions'];
}

type Condition = (form: OperatorForm) => boolean;

/** A version with the first TensorFlow release that had it, and the forms that need it; none stands for all others. */
type Version = readonly [version: number, release: string, needs?: Condition];

/** Operators whose integer forms are version 2 for i8 and 3 for i16. */
function byDtype(float: string, i8: string, i16: string): readonly Version[] {
  return [
    [3, i16, reads('i16')],
    [2, i8, reads('i8')],
    [1, float],
  ];
}

function reads(dtype: DType, input = 0): Condition {
  return ({ inputs }) => inputs[input]?.dtype === dtype;
}

function gives(dtype: DType): Condition {
  return ({ outputs }) => outputs[0]?.dtype === dtype;
}

function all(...conditions: readonly Condition[]): Condition {
  return (form) => conditions.every((condition) => condition(form));
}

function any(...conditions: readonly Condition[]): Condition {
  return (form) => conditions.some((condition) => condition(form));
}

/** Operators with a tensor of more axes than `rank`. */
function isOver(rank: number): Condition {
  return ({ inputs }) => Math.max(...inputs.map(({ shape }) => shape.length)) > rank;
}

/** Operators with a scale for each channel of input `input`. */
function hasChannels(input: number): Condition {
  return ({ inputs }) => inputs[input]?.quant?.per === 'channel';
}

/** Operators with weights in blocks. */
const hasBlocks: Condition = ({ inputs }) => inputs[1]?.quant?.per === 'block';

/** Operators in which f32 meets integer weights. */
const isHybrid = all(reads('f32'), any(reads('i8', 1), reads('i4', 1)));

const isAsymmetric: Condition = ({ options }) => {
  const isProduct = options?.kind === 'BatchMatMulOptions' || options?.kind === 'FullyConnectedOptions';
  return isProduct && options.value.asymmetricQuantizeInputs === true;
};

const keepsDims: Condition = ({ options }) =>
  options?.kind === 'FullyConnectedOptions' && options.value.keepNumDims === true;

/** Sums whose scales are no powers of two. */
const hasFreeScales: Condition = ({ options }) => {
  const isSum = options?.kind === 'AddOptions' || options?.kind === 'SubOptions';
  return isSum && options.value.potScaleInt16 === false;
};

/** Operators on two inputs of unequal shape, one of more than four axes. */
const broadcastsHighRank = all(isOver(4), ({ inputs }) => inputs[0]?.shape.join() !== inputs[1]?.shape.join());

/** Operators that choose the larger or the smaller of two. */
const extreme: readonly Version[] = [
  [4, '2.3.0', reads('i16')],
  [3, '2.3.0', broadcastsHighRank],
  [2, '1.14.0', reads('i8')],
  [1, '1.14.0'],
];

/** Products of stored integers that are scaled up, if at all, to the stored result. */
const growsProduct: Condition = ({ inputs, outputs }) => {
  const [a, b, y] = [inputs[0], inputs[1], outputs[0]].map((type) =>
    type?.quant?.per === 'tensor' ? type.quant.scale : undefined,
  );
  return a !== undefined && b !== undefined && y !== undefined && (a * b) / y >= 1;
};

/**
 * Versions of the operators that mbert writes; the first whose condition holds is the lowest whose kernel knows the
 * form: older runtimes then refuse a file rather than misread it. Rules as in TFLite's op_version.cc, releases as in
 * its runtime_version.cc (August 2026).
 */
const table = {
  ABS: [[1, '1.13.0']],
  ADD: [
    [4, '2.6.0', reads('i64')],
    [3, '2.4.0', all(reads('i16'), hasFreeScales)],
    [1, '1.5.0', reads('i16')],
    [2, '1.14.0', reads('i8')],
    [1, '1.5.0'],
  ],
  BATCH_MATMUL: [
    [3, '2.4.0', reads('i16')],
    [2, '2.3.0', reads('i8')],
    [4, '2.5.0', all(isHybrid, isAsymmetric)],
    [1, '2.3.0'],
  ],
  // Version 1 was taken back, and its number given to another operator.
  BROADCAST_TO: [
    [3, '2.5.0', any(reads('i8'), reads('i16'))],
    [2, '2.5.0'],
  ],
  CAST: [
    [3, '2.8.0', any(reads('i8'), gives('i8'))],
    [2, '2.7.0', any(reads('u32'), gives('u32'))],
    [1, '1.5.0'],
  ],
  CEIL: [[1, '1.14.0']],
  CONCATENATION: byDtype('1.5.0', '1.14.0', '2.3.0'),
  CONV_2D: [
    [4, '2.3.0', reads('i16')],
    [7, '2.11.0', all(reads('i8'), reads('i4', 1))],
    [3, '1.14.0', reads('i8')],
    [5, '2.4.0', all(isHybrid, hasChannels(1))],
    [2, '1.14.0', isHybrid],
    [1, '1.5.0'],
  ],
  COS: [[1, '1.14.0']],
  CUMSUM: [[1, '2.4.0']],
  DEQUANTIZE: [
    [6, '2.18.0', reads('i4')],
    [5, '2.7.0', all(reads('i8'), hasChannels(0))],
    [2, '1.14.0', reads('i8')],
    [3, '1.15.0', any(reads('i16'), reads('f16'))],
    [1, '1.13.1'],
  ],
  DIV: [
    [2, '2.3.0', broadcastsHighRank],
    [1, '1.6.0'],
  ],
  EQUAL: [[1, '1.14.0']],
  EMBEDDING_LOOKUP: [
    [4, '2.18.0', any(reads('i4', 1), hasChannels(1))],
    [1, '1.13.0'],
  ],
  FULLY_CONNECTED: [
    [13, '2.18.0', all(reads('i16'), reads('i4', 1))],
    // Before version 12, kernels of f32 took the first scale for all channels.
    [12, '2.17.0', all(isHybrid, hasChannels(1))],
    [12, '2.17.0', all(reads('f32'), reads('i4', 1), hasBlocks)],
    [10, '2.11.0', reads('i4', 1)],
    [6, '2.1.0', ({ inputs }) => inputs.length === 2],
    [5, '2.0.0', keepsDims],
    [9, '2.3.0', all(isHybrid, isAsymmetric)],
    [3, '1.14.0', isHybrid],
    [4, '1.14.0', any(reads('i8'), reads('i16'))],
    [1, '1.5.0'],
  ],
  GATHER: [
    [7, '2.15.0', reads('i4')],
    [4, '2.4.0', reads('i16')],
    [3, '1.15.0', reads('bool')],
    [2, '1.14.0', reads('i8')],
    [1, '1.6.0'],
  ],
  GREATER: [[1, '1.14.0']],
  GREATER_EQUAL: [[1, '1.14.0']],
  GELU: [
    [2, '2.9.0', reads('i8')],
    [1, '2.9.0'],
  ],
  LESS: [[1, '1.14.0']],
  LESS_EQUAL: [[1, '1.14.0']],
  LOGICAL_AND: [[1, '1.11.0']],
  LOGICAL_NOT: [[1, '1.11.0']],
  LOG: [[1, '1.14.0']],
  LOGICAL_OR: [[1, '1.11.0']],
  LOGISTIC: byDtype('1.14.0', '1.14.0', '2.3.0'),
  MAXIMUM: extreme,
  MEAN: byDtype('1.6.0', '1.14.0', '2.4.0'),
  MINIMUM: extreme,
  MUL: [
    [5, '2.6.0', reads('i64')],
    [4, '2.3.0', reads('i16')],
    [3, '1.15.0', growsProduct],
    [2, '1.14.0', reads('i8')],
    [1, '1.5.0'],
  ],
  NOT_EQUAL: [[1, '1.14.0']],
  PAD: [
    [4, '2.6.0', isOver(4)],
    [3, '2.4.0', reads('i16')],
    [2, '1.14.0', reads('i8')],
    [1, '1.5.0'],
  ],
  QUANTIZE: [
    [3, '2.7.0', ({ outputs }) => outputs[0]?.quant?.per === 'channel'],
    [2, '1.15.0', ({ outputs }) => outputs[0]?.dtype === 'i16'],
    [1, '1.14.0'],
  ],
  REDUCE_MAX: [[1, '1.11.0']],
  RELU: byDtype('1.5.0', '2.1.0', '2.5.0'),
  RESHAPE: [[1, '1.5.0']],
  RSQRT: byDtype('1.10.0', '2.5.0', '2.15.0'),
  SELECT_V2: [[1, '2.2.0']],
  SHAPE: [[1, '1.10.0']],
  SIN: [[1, '1.9.0']],
  SLICE: [
    [5, '2.5.0', isOver(4)],
    [4, '2.4.0', reads('i16')],
    [2, '1.14.0', reads('i8')],
    [1, '1.14.0'],
  ],
  SOFTMAX: byDtype('1.5.0', '1.14.0', '2.3.0'),
  SPLIT: [
    [4, '2.3.0', reads('i16', 1)],
    [3, '1.14.0', reads('i32', 1)],
    [2, '1.14.0', reads('i8', 1)],
    [1, '1.5.0'],
  ],
  SQRT: [[1, '1.10.0']],
  SQUARED_DIFFERENCE: [
    [2, '2.5.0', reads('i8')],
    [1, '1.13.1'],
  ],
  STRIDED_SLICE: [
    [4, '2.2.0', isOver(4)],
    [3, '2.1.0', reads('bool')],
    [2, '1.14.0', reads('i8')],
    [1, '1.6.0'],
  ],
  SUB: [
    [5, '2.4.0', all(reads('i16'), hasFreeScales)],
    [4, '2.4.0', reads('i64')],
    [3, '2.3.0', broadcastsHighRank],
    [2, '1.14.0', reads('i8')],
    [1, '1.6.0'],
  ],
  SUM: [
    [2, '1.15.0', reads('i8')],
    [1, '1.10.0'],
  ],
  TANH: byDtype('1.14.0', '1.14.0', '2.3.0'),
  TRANSPOSE: [
    [7, '2.14.4', reads('i4')],
    [6, '2.12.0', isOver(5)],
    [5, '2.4.0', reads('i16')],
    [4, '2.3.0', isOver(4)],
    [3, '1.15.0', reads('bool')],
    [2, '1.14.0', reads('i8')],
    [1, '1.6.0'],
  ],
} satisfies { readonly [O in keyof typeof builtinOperatorValues]?: readonly Version[] };

/** The operators that lowerings may write: those whose versions are known. */
export type Builtin = keyof typeof table;

/**
 * Release that first knew block scales: they came after the operators' versions, so the version alone does not tell.
 */
const BLOCKWISE_RELEASE = '2.19.0';

/** The version to write, or null for an operator that the table does not know. */
export function minimalVersion(code: string, form: OperatorForm): number | null {
  return Object.hasOwn(table, code) ? versionOf(code as Builtin, form) : null;
}

export function versionOf(code: Builtin, form: OperatorForm): number {
  const fitting = versionsOf(code).find(([, , needs]) => needs === undefined || needs(form));
  if (fitting === undefined) throw new Error(`no version of ${code} takes every form`);
  return fitting[0];
}

/** The TensorFlow release that first knew an operator in a version and form. */
export function releaseOf(code: Builtin, version: number, form: OperatorForm): string {
  const release = versionsOf(code).find(([number]) => number === version)?.[1];
  if (release === undefined) throw new Error(`no release is known for ${code} version ${version}`);
  const isBlock = form.inputs.some(({ quant }) => quant?.per === 'block');
  return isBlock && isNewer(BLOCKWISE_RELEASE, release) ? BLOCKWISE_RELEASE : release;
}

function versionsOf(code: Builtin): readonly Version[] {
  return table[code];
}

/** True for a release that comes after another; what a shorter number leaves out is 0. */
export function isNewer(release: string, than: string): boolean {
  const a = release.split('.').map(Number);
  const b = than.split('.').map(Number);
  for (let i = 0; i < 3; i++) if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) > (b[i] ?? 0);
  return false;
}
