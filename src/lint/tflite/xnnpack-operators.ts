import type { LintOperator, LintTensor } from './model.ts';

/**
 * The reason why the XNNPACK delegate of LiteRT declines an operator, or null where it takes it. The checks are those
 * of its source in August 2026 (tflite/delegates/xnnpack/xnnpack_delegate.cc).
 */
type Reason = string | null;
type Check = (operator: LintOperator, isStatic: (tensor: LintTensor) => boolean) => Reason;

/** The value of XNN_MAX_TENSOR_DIMS. */
const MAX_RANK = 6;
const MAX_CONCAT_INPUTS = 5;
const MAX_SPLIT_OUTPUTS = 4;
const BLOCK_MULTIPLE = 32;

/** Bounds of s_in / s_out that the integer kernels' multipliers can hold; convert's alone include the upper one. */
const SUM_SCALES = { least: 2 ** -10, below: 2 ** 8 };
const PRODUCT_SCALES = { least: 2 ** -16, below: 2 ** 8 };
const CONVERT_SCALES = { least: 2 ** -8, most: 2 ** 7 };

const checks: { readonly [code: string]: Check } = {
  ADD: (op) => binary(op) ?? ratioProblem(op),
  SUB: (op) => binary(op) ?? ratioProblem(op),
  MUL: (op) => binary(op) ?? ratioProblem(op),
  DIV: floatsOnly,
  MAXIMUM: floatsOnly,
  MINIMUM: floatsOnly,
  SQUARED_DIFFERENCE: floatsOnly,
  ABS: floatsOnly,
  CEIL: floatsOnly,
  COS: floatsOnly,
  EXP: floatsOnly,
  FLOOR: floatsOnly,
  GELU: floatsOnly,
  HARD_SWISH: floatsOnly,
  LOG: floatsOnly,
  NEG: floatsOnly,
  RELU: floatsOnly,
  RELU6: floatsOnly,
  RELU_N1_TO_1: floatsOnly,
  ROUND: floatsOnly,
  RSQRT: floatsOnly,
  SIN: floatsOnly,
  SQRT: floatsOnly,
  SQUARE: floatsOnly,
  LOGISTIC: (op) => count(op, 1, 1) ?? all(op, floatOrByte),
  TANH: (op) => count(op, 1, 1) ?? all(op, floatOrByte),
  ELU: (op) => count(op, 1, 1) ?? all(op, floatOrByte),
  QUANTIZE: convert,
  DEQUANTIZE: dequantize,
  BATCH_MATMUL: matmul,
  CONCATENATION: concat,
  CONV_2D: conv2d,
  FULLY_CONNECTED: fullyConnected,
  MEAN: reduce,
  SUM: reduce,
  REDUCE_MAX: reduce,
  REDUCE_MIN: reduce,
  PAD: (op, isStatic) => count(op, 2, 2) ?? data(op) ?? ranks(op, 1) ?? constants(op, [1], isStatic),
  RESHAPE: reshape,
  SLICE: slice,
  SPLIT: split,
  SOFTMAX: softmax,
  STRIDED_SLICE: stridedSlice,
  TRANSPOSE: (op, isStatic) => count(op, 2, 2) ?? data(op) ?? ranks(op, 1) ?? constants(op, [1], isStatic),
};

/** The index of the only input that may be left out: a linear's bias. */
const OPTIONAL_INPUT = 2;

/** Says why XNNPACK leaves an operator to LiteRT's own kernels, or null where it takes it. */
export function refusal(operator: LintOperator, isStatic: (tensor: LintTensor) => boolean): Reason {
  const { code, inputs, outputs } = operator;
  const check = Object.hasOwn(checks, code) ? checks[code] : undefined;
  if (check === undefined) return 'XNNPACK has no such operator';
  const isComplete = inputs.every((tensor, i) => tensor !== undefined || i === OPTIONAL_INPUT);
  if (inputs.length === 0 || outputs.length === 0 || !isComplete) return 'an input or output is left out';
  return check(operator, isStatic);
}

function isFloat({ type }: LintTensor): boolean {
  return type === 'FLOAT32' || type === 'FLOAT16';
}

function isByte({ type }: LintTensor): boolean {
  return type === 'INT8' || type === 'UINT8';
}

function floatOrByte(tensor: LintTensor): Reason {
  if (isFloat(tensor)) return null;
  if (!isByte(tensor)) return `${tensor.name} is ${tensor.type}`;
  const isOne = tensor.scales.length === 1 && tensor.quantizedDimension === 0;
  return isOne ? null : `${tensor.name} is ${tensor.type} with ${tensor.scales.length} scales`;
}

function floatsOnly(op: LintOperator): Reason {
  return all(op, (tensor) => (isFloat(tensor) ? null : `${tensor.name} is ${tensor.type}, and only floats are taken`));
}

function all({ inputs, outputs }: LintOperator, check: (tensor: LintTensor) => Reason): Reason {
  for (const tensor of [...inputs, ...outputs]) {
    const reason = tensor === undefined ? 'an input is left out' : check(tensor);
    if (reason !== null) return reason;
  }
  return null;
}

function count({ inputs, outputs }: LintOperator, least: number, most: number, results = 1): Reason {
  if (inputs.length < least || inputs.length > most)
    return `has ${inputs.length} inputs, ${least} to ${most} are taken`;
  return outputs.length === results ? null : `has ${outputs.length} outputs, not ${results}`;
}

/** Checks the first input and the output, which hold values; the other inputs hold indices. */
function data({ inputs, outputs }: LintOperator): Reason {
  return floatOrByte(inputs[0] as LintTensor) ?? floatOrByte(outputs[0] as LintTensor);
}

function ranks({ inputs, outputs }: LintOperator, least: number): Reason {
  for (const { name, shape } of [inputs[0], outputs[0]] as LintTensor[]) {
    if (shape.length < least || shape.length > MAX_RANK) return `${name} has ${shape.length} axes`;
    if (shape.some((size) => size <= 0)) return `${name} is [${shape.join(', ')}]`;
  }
  return null;
}

function constants(op: LintOperator, inputs: readonly number[], isStatic: (tensor: LintTensor) => boolean): Reason {
  for (const input of inputs) {
    const tensor = op.inputs[input];
    if (tensor === undefined || !isStatic(tensor)) return `${tensor?.name ?? 'an input'} is no constant`;
  }
  return null;
}

function sameTypes({ inputs, outputs }: LintOperator): Reason {
  const types = [...inputs, ...outputs].map((tensor) => tensor?.type);
  return types.every((type) => type === types[0]) ? null : `mixes ${[...new Set(types)].join(' and ')}`;
}

function scaleOf(tensor: LintTensor | undefined): number {
  return tensor?.scales[0] ?? Number.NaN;
}

function binary(op: LintOperator): Reason {
  return count(op, 2, 2) ?? all(op, floatOrByte) ?? sameTypes(op) ?? ranks(op, 0);
}

/** Says why the scales of integers are too far apart for XNNPACK's multipliers, or null. */
export function ratioProblem({ code, inputs, outputs }: LintOperator): Reason {
  const output = outputs[0] as LintTensor;
  if ([...inputs, output].some((tensor) => tensor === undefined || !isByte(tensor))) return null;
  if (code === 'MUL') {
    const ratio = (scaleOf(inputs[0]) * scaleOf(inputs[1])) / scaleOf(output);
    if (ratio >= PRODUCT_SCALES.least && ratio < PRODUCT_SCALES.below) return null;
    return `the product of the scales is ${ratio} of the result's, outside [2^-16, 2^8)`;
  }
  for (const input of inputs as LintTensor[]) {
    const ratio = Math.fround(scaleOf(input) / scaleOf(output));
    if ((code === 'ADD' || code === 'SUB') && !(ratio >= SUM_SCALES.least && ratio < SUM_SCALES.below)) {
      return `the scale of ${input.name} is ${ratio} of the result's, outside [2^-10, 2^8)`;
    }
    if (code === 'QUANTIZE' && !(ratio >= CONVERT_SCALES.least && ratio <= CONVERT_SCALES.most)) {
      return `the scale of ${input.name} is ${ratio} of the result's, outside [2^-8, 2^7]`;
    }
  }
  return null;
}

/** The bound of s_x·s_w/s_y, by which accumulators of linears are multiplied; BATCH_MATMUL has no such bound. */
const MAX_REQUANTIZATION = 256;

/** Says why XNNPACK takes integers of these scales and then fails to build its kernel, or null. */
export function requantizationProblem({ code, inputs, outputs }: LintOperator): Reason {
  const [a, b] = inputs;
  const output = outputs[0];
  if (code !== 'FULLY_CONNECTED' && code !== 'CONV_2D') return null;
  if (a?.type !== 'INT8' || output?.type !== 'INT8' || b === undefined) return null;
  const ratio = (scaleOf(a) * b.scales.reduce((most, scale) => Math.max(most, scale), 0)) / scaleOf(output);
  return ratio < MAX_REQUANTIZATION
    ? null
    : `s_x·s_w is ${ratio} of the result's scale, and XNNPACK builds kernels below 2^8`;
}

function convert(op: LintOperator): Reason {
  const reason = count(op, 1, 1) ?? all(op, floatOrByte);
  const [input, output] = [op.inputs[0] as LintTensor, op.outputs[0] as LintTensor];
  if (reason !== null || isFloat(input)) return reason;
  return input.type === output.type ? ratioProblem(op) : `makes ${output.type} of ${input.type}`;
}

function dequantize(op: LintOperator): Reason {
  const input = op.inputs[0] as LintTensor;
  const output = op.outputs[0] as LintTensor;
  if (!isByte(input)) return `${input.name} is ${input.type} and computed`;
  return count(op, 1, 1) ?? floatOrByte(input) ?? (isFloat(output) ? null : `makes ${output.type}`);
}

function matmul(op: LintOperator): Reason {
  const reason = count(op, 2, 2);
  if (reason !== null) return reason;
  const [a, b] = op.inputs as [LintTensor, LintTensor];
  const isDynamic = a.type === 'FLOAT32' && b.type === 'INT8';
  const typed = floatOrByte(a) ?? (isDynamic ? null : floatOrByte(b)) ?? floatOrByte(op.outputs[0] as LintTensor);
  if (typed !== null) return typed;
  if (!isDynamic && a.type !== b.type) return `mixes ${a.type} and ${b.type}`;
  if (b.type === 'INT8' && !isDynamic && b.zeroPoints[0] !== 0) {
    return `its right operand ${b.name} has the zero point ${b.zeroPoints[0]}, not 0`;
  }
  const flat = [a, b].find(({ shape }) => shape.length < 2);
  return flat === undefined ? null : `${flat.name} has ${flat.shape.length} axes`;
}

function concat(op: LintOperator): Reason {
  const { inputs, outputs, options } = op;
  const rank = inputs[0]?.shape.length ?? 0;
  if (options?.kind === 'ConcatenationOptions' && options.value.axis >= rank) return 'concatenates in a new dimension';
  const reason = count(op, 2, MAX_CONCAT_INPUTS) ?? all(op, floatOrByte);
  if (reason !== null || outputs[0]?.type !== 'UINT8') return reason;
  return inputs.every((input) => hasQuantOf(input as LintTensor, outputs[0] as LintTensor))
    ? null
    : 'its inputs differ in scale or zero point from the result';
}

/** The least normal number of f32. */
const LEAST_NORMAL = 2 ** -126;

/** Whether XNNPACK can make a tensor with this scale. */
export function isNormal(scale: number): boolean {
  return scale >= LEAST_NORMAL && scale < Number.POSITIVE_INFINITY;
}

/** Whether two tensors have the same scale and zero point. */
export function hasQuantOf(a: LintTensor, b: LintTensor): boolean {
  return a.scales[0] === b.scales[0] && a.zeroPoints[0] === b.zeroPoints[0];
}

/** Checks the types of x, weight and result of a linear: weights may be narrower integers. */
function weightTypes(op: LintOperator, narrow: readonly string[]): Reason {
  const [x, weight] = op.inputs as [LintTensor, LintTensor];
  const output = op.outputs[0] as LintTensor;
  if (x.type !== output.type) return `makes ${output.type} of ${x.type}`;
  const isMixed = x.type !== weight.type && !((isFloat(x) || x.type === 'INT8') && narrow.includes(weight.type));
  if (isMixed) return `mixes ${x.type} with weights of ${weight.type}`;
  if (weight.block === undefined && !isFloat(weight)) {
    const { scales, quantizedDimension, shape } = weight;
    if (scales.length === 0) return `${weight.name} has no scales`;
    if (scales.length > 1 && (quantizedDimension !== 0 || scales.length !== shape[0])) {
      return `${weight.name} has ${scales.length} scales along dimension ${quantizedDimension}`;
    }
  }
  return null;
}

function biasReason(bias: LintTensor, weight: LintTensor, isStatic: (tensor: LintTensor) => boolean): Reason {
  if (bias.type !== 'INT32') {
    if (!isFloat(bias)) return `the bias ${bias.name} is ${bias.type}`;
    const fits = !isFloat(weight) || bias.type === weight.type || weight.type === 'FLOAT16';
    return fits ? null : `mixes weights of ${weight.type} with a bias of ${bias.type}`;
  }
  if (bias.scales.length === 0 || bias.quantizedDimension !== 0) return `the bias ${bias.name} has no scales`;
  return isStatic(bias) ? null : `the bias ${bias.name} is no constant`;
}

function conv2d(op: LintOperator, isStatic: (tensor: LintTensor) => boolean): Reason {
  const [x, weight, bias] = op.inputs;
  const output = op.outputs[0] as LintTensor;
  if (op.inputs.length !== 3 || bias === undefined) return 'has no bias';
  const narrow = (x as LintTensor).type === 'FLOAT32' ? ['INT8'] : [];
  const reason =
    floatOrByte(x as LintTensor) ??
    floatOrByte(output) ??
    weightTypes(op, narrow) ??
    constants(op, [1, 2], isStatic) ??
    biasReason(bias, weight as LintTensor, isStatic);
  if (reason !== null) return reason;
  const bad = [x, weight, output].find((tensor) => tensor?.shape.length !== 4);
  return bad === undefined ? null : `${bad.name} has ${bad.shape.length} axes`;
}

function fullyConnected(op: LintOperator, isStatic: (tensor: LintTensor) => boolean): Reason {
  if (op.version === 8) return 'has sparse weights';
  const { options } = op;
  if (options?.kind === 'FullyConnectedOptions' && options.value.weightsFormat !== 'DEFAULT')
    return 'has shuffled weights';
  const reason = count(op, 2, 3);
  if (reason !== null) return reason;
  const [x, weight, bias] = op.inputs as [LintTensor, LintTensor, LintTensor | undefined];
  const typed = floatOrByte(x) ?? floatOrByte(op.outputs[0] as LintTensor) ?? weightTypes(op, ['INT8', 'INT4', 'INT2']);
  if (typed !== null) return typed;
  if (weight.shape.length !== 2) return `${weight.name} has ${weight.shape.length} axes`;
  if (weight.type !== 'FLOAT32' && !isStatic(weight)) return `${weight.name} is no constant`;
  if (weight.type === 'INT8' && x.type !== 'FLOAT32' && weight.scales.length === 1 && weight.zeroPoints[0] !== 0) {
    return `${weight.name} has the zero point ${weight.zeroPoints[0]}`;
  }
  const channels = weight.shape[1] as number;
  if (weight.type === 'INT4' && channels % 2 !== 0) return `${weight.name} has an odd number of columns, ${channels}`;
  if (weight.block !== undefined && weight.block.size % BLOCK_MULTIPLE !== 0) {
    return `${weight.name} has blocks of ${weight.block.size}, and multiples of ${BLOCK_MULTIPLE} are taken`;
  }
  return bias === undefined ? null : biasReason(bias, weight, isStatic);
}

function reduce(op: LintOperator, isStatic: (tensor: LintTensor) => boolean): Reason {
  const reason = count(op, 2, 2) ?? data(op) ?? constants(op, [1], isStatic);
  if (reason !== null) return reason;
  const axes = op.inputs[1] as LintTensor;
  return axes.shape.length <= 1 ? null : `its axes ${axes.name} have ${axes.shape.length} axes`;
}

function reshape(op: LintOperator, isStatic: (tensor: LintTensor) => boolean): Reason {
  const reason = count(op, 1, 2) ?? data(op) ?? ranks(op, 0) ?? (op.inputs[1] ? constants(op, [1], isStatic) : null);
  const [input, output] = [op.inputs[0] as LintTensor, op.outputs[0] as LintTensor];
  if (reason !== null) return reason;
  if (isByte(output) && !hasQuantOf(input, output))
    return `${input.name} differs in scale or zero point from the result`;
  const sizes = op.inputs[1] === undefined ? undefined : readI32(op.inputs[1]);
  return sizes?.length === 1 && (sizes[0] === -1 || sizes[0] === 0) ? 'reshapes to one axis of unknown size' : null;
}

function slice(op: LintOperator, isStatic: (tensor: LintTensor) => boolean): Reason {
  const reason = count(op, 3, 3) ?? data(op) ?? constants(op, [1, 2], isStatic);
  if (reason !== null) return reason;
  const sizes = readI32(op.inputs[2] as LintTensor);
  const bad = sizes?.findIndex((size) => size <= 0) ?? -1;
  return bad < 0 ? null : `its size along axis ${bad} is ${sizes?.[bad]}, and only given sizes are taken`;
}

function split(op: LintOperator, isStatic: (tensor: LintTensor) => boolean): Reason {
  const { inputs, outputs } = op;
  if (inputs.length !== 2) return `has ${inputs.length} inputs`;
  if (outputs.length < 2 || outputs.length > MAX_SPLIT_OUTPUTS) {
    return `has ${outputs.length} outputs, 2 to ${MAX_SPLIT_OUTPUTS} are taken`;
  }
  const values = [inputs[1] as LintTensor, ...outputs].map(floatOrByte).find((reason) => reason !== null);
  return values ?? constants(op, [0], isStatic);
}

function softmax(op: LintOperator): Reason {
  const { options } = op;
  if (options?.kind !== 'SoftmaxOptions' || options.value.beta !== 1) return 'its beta is not 1';
  return count(op, 1, 1) ?? floatsOnly(op);
}

function stridedSlice(op: LintOperator, isStatic: (tensor: LintTensor) => boolean): Reason {
  const { options } = op;
  const reason = count(op, 4, 4) ?? data(op) ?? constants(op, [1, 2, 3], isStatic);
  if (reason !== null) return reason;
  if (options?.kind !== 'StridedSliceOptions') return 'has no options';
  const { ellipsisMask, newAxisMask, shrinkAxisMask } = options.value;
  if (ellipsisMask !== 0 || newAxisMask !== 0 || shrinkAxisMask !== 0) return 'adds or drops axes';
  const strides = readI32(op.inputs[3] as LintTensor);
  if (strides?.some((stride) => stride !== 1)) return 'has strides other than 1';
  return strides?.length === op.inputs[0]?.shape.length ? null : 'does not list every axis';
}

/** The elements of an INT32 constant, or undefined where it is none. */
export function readI32({ type, data: bytes }: LintTensor): readonly number[] | undefined {
  if (type !== 'INT32' || bytes === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.byteLength / 4) }, (_, i) => view.getInt32(4 * i, true));
}
