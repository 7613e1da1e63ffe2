import { MbertError } from '../../errors.ts';
import type { Call, Node } from '../../ir/graph.ts';
import { isFloat, type QuantParams } from '../../ir/op.ts';
import { type OpName, opDef } from '../../ir/ops/index.ts';
import { axisOf } from '../../ir/shape.ts';
import type { DType, Quant, TensorType } from '../../ir/tensor.ts';
import { typeText } from '../../ir/text.ts';
import { inputOf } from './operands.ts';

/** Tells what is wrong with how a node and its inputs are stored, or null. */
type Check = (node: Node) => string | null;

/** Checks of the ops that read tables and weights, or change how a value is stored: what their kernels ask of the types. */
const checks: { readonly [O in OpName]?: Check } = {
  gather: looksUp,
  linear: weighs,
  conv1d: weighs,
  quantize: quantizes,
  dequantize: dequantizes,
};

/**
 * The check of an op without one of its own: kernels that only move values copy the integers, so scale and zero point
 * stay; some have fixed ones.
 */
function checkOf(op: OpName): Check {
  const { moves, int8 } = opDef(op);
  const own = checks[op];
  if (own) return own;
  if (moves) return unchanged;
  if (int8 === undefined) return floats;
  return int8 === 'calibrated' ? alike : fixed(int8);
}

/** The reason why no TFLite kernel takes a node as it and its inputs are stored, or null. */
export function storageProblem(node: Call): string | null {
  return computed(node.type) ?? checkOf(node.op)(node);
}

/** Throws UNSUPPORTED where tflite has no kernel for the way in which a node and its inputs are stored. */
export function checkStorage(node: Call): void {
  const problem = storageProblem(node);
  if (problem !== null) {
    throw new MbertError('UNSUPPORTED', `${node.name}: tflite ${node.op}: ${problem}`, {
      hint: 'a quantize or dequantize between the two, or another type, makes it expressible',
    });
  }
}

/** True for values that are stored alike: reals as reals, or the same integers for the same numbers. */
export function sameStorage(a: TensorType, b: TensorType): boolean {
  if (a.quant === undefined || b.quant === undefined) return a.quant === b.quant;
  const [p, q] = [a.quant, b.quant];
  if (a.dtype !== b.dtype || p.per !== 'tensor' || q.per !== 'tensor') return false;
  return Math.fround(p.scale) === Math.fround(q.scale) && p.zeroPoint === q.zeroPoint;
}

/** Checks the storage of a computed value: i8 with any zero point, i16 with none, both with one scale. */
function computed({ dtype, quant }: TensorType): string | null {
  if (quant === undefined) return null;
  if (dtype !== 'i8' && dtype !== 'i16') return `computed values are i8 or i16, not ${dtype}`;
  if (quant.per !== 'tensor') return 'a computed value has one scale, not several';
  if (dtype === 'i16' && quant.zeroPoint !== 0) return `i16 values have the zero point 0, not ${quant.zeroPoint}`;
  const fits = Number.isInteger(quant.zeroPoint) && quant.zeroPoint >= -128 && quant.zeroPoint <= 127;
  return fits ? null : `the zero point ${quant.zeroPoint} is no i8`;
}

/** True for nodes that can be read as reals: constants are turned into them. */
function isReal(node: Node): boolean {
  return node.type.quant === undefined || (node.op === 'constant' && node.type.quant.per !== 'block');
}

function floats(node: Node): string | null {
  if (node.type.quant !== undefined) return `has no ${node.type.dtype} form`;
  const bad = node.inputs.find((x) => !isReal(x));
  return bad === undefined ? null : `takes floats, and ${bad.name} is ${typeText(bad.type)}`;
}

/** Checks that inputs and result are integers of one dtype, each with a scale of its own, or all are floats. */
function alike(node: Node): string | null {
  const { dtype, quant } = node.type;
  if (quant === undefined) return floats(node);
  const bad = node.inputs.find(({ type }) => type.dtype !== dtype || type.quant?.per !== 'tensor');
  if (bad !== undefined) return `gives ${dtype}, and ${bad.name} is ${typeText(bad.type)}`;
  return SUMS.has(node.op) ? farApart(node) : null;
}

const SUMS: ReadonlySet<Node['op']> = new Set(['add', 'sub']);

/**
 * Bounds of a sum's scales, beyond which LiteRT aborts (measured, 2.5): its kernel computes in units of a 2^19th of the
 * larger scale that is read, and a mask of the least float beside scores leaves no float between the two.
 */
const LEAST_RESULT = 2 ** -19;
const LEAST_OPERAND = 2 ** -100;

function farApart({ type, inputs }: Node): string | null {
  const scaleOf = ({ quant }: TensorType) => (quant?.per === 'tensor' ? quant.scale : 1);
  const scales = inputs.map((input) => scaleOf(input.type));
  const [least, most] = [Math.min(...scales), Math.max(...scales)];
  const fits = least > LEAST_OPERAND * most && scaleOf(type) > LEAST_RESULT * most;
  return fits ? null : `has no kernel for scales as far apart as ${[...scales, scaleOf(type)].join(', ')}`;
}

function unchanged(node: Node): string | null {
  return node.type.quant === undefined ? floats(node) : moves(node, node.inputs);
}

function moves(node: Node, inputs: readonly Node[]): string | null {
  const bad = inputs.find(({ type }) => !sameStorage(type, node.type));
  if (bad === undefined) return null;
  return `only moves values, so ${typeText(node.type)} cannot come from ${bad.name}, ${typeText(bad.type)}`;
}

function fixed(wanted: { readonly [D in DType]?: QuantParams }): Check {
  return (node) => {
    const { dtype, quant } = node.type;
    const problem = alike(node);
    if (problem !== null || quant?.per !== 'tensor') return problem;
    const only = wanted[dtype];
    if (quant.scale === only?.scale && quant.zeroPoint === only.zeroPoint) return null;
    return `gives ${dtype} as q(${only?.scale}, ${only?.zeroPoint}) only, not q(${quant.scale}, ${quant.zeroPoint})`;
  };
}

/** Checks rows of an integer table: as floats, or the same integers. */
function looksUp(node: Node): string | null {
  const table = inputOf(node, 0);
  const { dtype, shape, quant } = table.type;
  if (node.type.quant !== undefined) return moves(node, [table]);
  if (quant === undefined) return null;
  if (dtype !== 'i8' && dtype !== 'i4') return `has tables of i8 and i4, not ${dtype}`;
  const isRows = node.op === 'gather' && axisOf(node.attrs.axis, shape.length) === 0 && shape.length === 2;
  if (!isRows || quant.per === 'block' || (quant.per === 'channel' && quant.axis !== 0)) {
    return `makes floats of rows of a matrix, with a scale each or one for all, not of ${typeText(table.type)}`;
  }
  return symmetric(table);
}

/** Dtypes of x, weight and result that FULLY_CONNECTED and CONV_2D know. */
const WEIGHED = {
  linear: ['f32 f32 f32', 'f32 i8 f32', 'f32 i4 f32', 'i8 i8 i8', 'i8 i4 i8', 'i16 i8 i16', 'i16 i4 i16'],
  conv1d: ['f32 f32 f32', 'f32 i8 f32', 'i8 i8 i8', 'i16 i8 i16'],
};

function weighs(node: Node): string | null {
  const [x, weight, bias] = node.inputs as [Node, Node, Node | undefined];
  const form = [x.type, weight.type, node.type].map(storageName).join(' ');
  if (!WEIGHED[node.op as 'linear' | 'conv1d'].includes(form)) {
    const [from, by, to] = form.split(' ');
    return `has no kernel that takes ${from} with weights of ${by} to ${to}`;
  }
  if (weight.type.quant === undefined) return null;
  if (!hasNormalScales(weight.type.quant)) return `takes positive scales, and one of ${weight.name} is not`;
  if (weight.op !== 'constant') return `takes integer weights as constants, and ${weight.name} is computed`;
  if (x.type.quant !== undefined && bias !== undefined && bias.op !== 'constant') {
    return `takes an integer bias as a constant, and ${bias.name} is computed`;
  }
  if (x.type.quant !== undefined && weight.type.quant.per === 'block')
    return 'takes weights in blocks with floats only';
  if (weight.type.quant.per === 'channel' && weight.type.quant.axis !== 0)
    return 'takes scales per output channel only';
  return symmetric(weight);
}

/** True for scales that are positive normal numbers, of blocks even as f16. */
export function hasNormalScales(quant: Quant): boolean {
  const [least, most] = quant.per === 'block' ? [2 ** -14, 65504] : [2 ** -126, Number.MAX_VALUE];
  const scales = quant.per === 'tensor' ? [quant.scale] : quant.scales;
  return scales.every((scale) => scale >= least && scale <= most);
}

function quantizes(node: Node): string | null {
  const { type } = inputOf(node, 0);
  if (node.type.quant === undefined) return 'has a result without quantization';
  if (!isFloat(type.dtype) && type.quant?.per !== 'tensor')
    return `takes floats or integers with one scale, not ${typeText(type)}`;
  return null;
}

function dequantizes(node: Node): string | null {
  const { type } = inputOf(node, 0);
  if (node.type.quant !== undefined) return 'has a quantized result';
  return type.quant?.per === 'block' ? 'knows no scales per block' : null;
}

function symmetric({ name, type: { quant } }: Node): string | null {
  const zeroPoints = quant?.per === 'tensor' ? [quant.zeroPoint] : (quant?.zeroPoints ?? []);
  const at = zeroPoints.findIndex((zeroPoint) => zeroPoint !== 0);
  return at < 0 ? null : `${name} has the zero point ${zeroPoints[at]}, weights have 0`;
}

/** Name of a storage; a float constant counts as f32 whatever it is stored as. */
function storageName({ dtype, quant }: TensorType): string {
  return quant === undefined && isFloat(dtype) ? 'f32' : dtype;
}
