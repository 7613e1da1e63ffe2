import type { BuiltinOperator } from '../../formats/tflite/generated/model.ts';
import type { Attr } from '../../ir/op.ts';

/** Options of an operator by their names in the schema. */
export type OptionValues = { readonly [name: string]: unknown };

/** A TFLite operator said in TensorFlow's words: its op, and its attributes from the options. */
interface Translation {
  readonly op: string;
  readonly attributes?: (options: OptionValues) => { readonly [name: string]: Attr | undefined };
}

const STRIDED_SLICE: Translation = {
  op: 'StridedSlice',
  attributes: (options) => ({
    begin_mask: integer(options, 'beginMask'),
    end_mask: integer(options, 'endMask'),
    ellipsis_mask: integer(options, 'ellipsisMask'),
    new_axis_mask: integer(options, 'newAxisMask'),
    shrink_axis_mask: integer(options, 'shrinkAxisMask'),
  }),
};

/** TFLite's operators in TensorFlow's words; those with a lowering of their own keep their name. */
export const translations: { readonly [B in BuiltinOperator]?: Translation } = {
  ABS: { op: 'Abs' },
  ADD: { op: 'AddV2' },
  ADD_N: { op: 'AddN' },
  BATCH_MATMUL: {
    op: 'BatchMatMulV2',
    attributes: (options) => ({ adj_x: options['adjX'] === true, adj_y: options['adjY'] === true }),
  },
  BROADCAST_TO: { op: 'BroadcastTo' },
  CAST: { op: 'CAST' },
  CEIL: { op: 'Ceil' },
  CONCATENATION: { op: 'CONCATENATION', attributes: (options) => ({ axis: integer(options, 'axis') }) },
  CONV_2D: { op: 'CONV_2D', attributes: plain },
  COS: { op: 'Cos' },
  CUMSUM: {
    op: 'CUMSUM',
    attributes: (options) => ({ exclusive: options['exclusive'] === true, reverse: options['reverse'] === true }),
  },
  DEQUANTIZE: { op: 'DEQUANTIZE' },
  DIV: { op: 'RealDiv' },
  EMBEDDING_LOOKUP: { op: 'EMBEDDING_LOOKUP' },
  EQUAL: { op: 'Equal' },
  EXPAND_DIMS: { op: 'ExpandDims' },
  FILL: { op: 'Fill' },
  FLOOR_DIV: { op: 'FloorDiv' },
  FULLY_CONNECTED: { op: 'FULLY_CONNECTED', attributes: plain },
  GATHER: { op: 'GATHER', attributes: plain },
  GELU: { op: 'GELU', attributes: plain },
  GREATER: { op: 'Greater' },
  GREATER_EQUAL: { op: 'GreaterEqual' },
  L2_NORMALIZATION: { op: 'L2_NORMALIZATION' },
  LESS: { op: 'Less' },
  LESS_EQUAL: { op: 'LessEqual' },
  LOG: { op: 'Log' },
  LOGICAL_AND: { op: 'LogicalAnd' },
  LOGICAL_NOT: { op: 'LogicalNot' },
  LOGICAL_OR: { op: 'LogicalOr' },
  LOGISTIC: { op: 'Sigmoid' },
  MAXIMUM: { op: 'Maximum' },
  MEAN: { op: 'Mean', attributes: keepDims },
  MINIMUM: { op: 'Minimum' },
  MUL: { op: 'Mul' },
  NEG: { op: 'Neg' },
  NOT_EQUAL: { op: 'NotEqual' },
  ONE_HOT: { op: 'OneHot', attributes: (options) => ({ axis: integer(options, 'axis') }) },
  PACK: { op: 'Pack', attributes: (options) => ({ axis: integer(options, 'axis') }) },
  PAD: { op: 'Pad' },
  POW: { op: 'Pow' },
  QUANTIZE: { op: 'QUANTIZE' },
  RANGE: { op: 'Range' },
  RANK: { op: 'Rank' },
  REDUCE_MAX: { op: 'Max', attributes: keepDims },
  REDUCE_PROD: { op: 'Prod', attributes: keepDims },
  RELU: { op: 'Relu' },
  RELU6: { op: 'RELU6' },
  RESHAPE: { op: 'RESHAPE', attributes: plain },
  RSQRT: { op: 'Rsqrt' },
  SELECT_V2: { op: 'SelectV2' },
  SHAPE: { op: 'Shape' },
  SIN: { op: 'Sin' },
  SLICE: { op: 'Slice' },
  SOFTMAX: { op: 'SOFTMAX', attributes: plain },
  SPLIT: { op: 'Split', attributes: (options) => ({ num_split: integer(options, 'numSplits') }) },
  SPLIT_V: { op: 'SplitV' },
  SQRT: { op: 'Sqrt' },
  SQUARE: { op: 'Square' },
  SQUARED_DIFFERENCE: { op: 'SquaredDifference' },
  SQUEEZE: {
    op: 'Squeeze',
    attributes: (options) => ({ squeeze_dims: (options['squeezeDims'] ?? []) as readonly number[] }),
  },
  STRIDED_SLICE,
  SUB: { op: 'Sub' },
  SUM: { op: 'Sum', attributes: keepDims },
  TANH: { op: 'Tanh' },
  TRANSPOSE: { op: 'Transpose' },
  UNPACK: { op: 'Unpack', attributes: (options) => ({ axis: integer(options, 'axis'), num: integer(options, 'num') }) },
};

function keepDims(options: OptionValues): { readonly keep_dims: boolean } {
  return { keep_dims: options['keepDims'] === true };
}

function integer(options: OptionValues, name: string): number {
  const value = options[name];
  return typeof value === 'number' ? value : 0;
}

/** Options of plain kinds as attributes, under the schema's names. */
export function plain(options: OptionValues): { readonly [name: string]: Attr | undefined } {
  const attributes: Record<string, Attr> = {};
  for (const [name, value] of Object.entries(options)) {
    if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') attributes[name] = value;
    else if (Array.isArray(value) && value.every((item) => typeof item === 'number')) attributes[name] = value;
  }
  return attributes;
}
