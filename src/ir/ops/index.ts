import type { OpDef } from '../op.ts';
import { add } from './add.ts';
import { and } from './and.ts';
import { cast } from './cast.ts';
import { ceil } from './ceil.ts';
import { compare } from './compare.ts';
import { concat } from './concat.ts';
import { conv1d } from './conv1d.ts';
import { cos } from './cos.ts';
import { cumulativeSum } from './cumulative-sum.ts';
import { dequantize } from './dequantize.ts';
import { div } from './div.ts';
import { dynamicRound } from './dynamic-round.ts';
import { erf } from './erf.ts';
import { expand } from './expand.ts';
import { foreign } from './foreign.ts';
import { gather } from './gather.ts';
import { gelu } from './gelu.ts';
import { isNan } from './is-nan.ts';
import { layerNorm } from './layer-norm.ts';
import { linear } from './linear.ts';
import { log } from './log.ts';
import { matmul } from './matmul.ts';
import { max } from './max.ts';
import { maximum } from './maximum.ts';
import { mean } from './mean.ts';
import { minimum } from './minimum.ts';
import { mul } from './mul.ts';
import { noNorm } from './no-norm.ts';
import { normalize } from './normalize.ts';
import { not } from './not.ts';
import { or } from './or.ts';
import { pad } from './pad.ts';
import { pick } from './pick.ts';
import { quantize } from './quantize.ts';
import { range } from './range.ts';
import { relu } from './relu.ts';
import { reshape } from './reshape.ts';
import { rsqrt } from './rsqrt.ts';
import { shift } from './shift.ts';
import { sigmoid } from './sigmoid.ts';
import { sin } from './sin.ts';
import { slice } from './slice.ts';
import { softmax } from './softmax.ts';
import { sqrt } from './sqrt.ts';
import { sub } from './sub.ts';
import { sum } from './sum.ts';
import { tanh } from './tanh.ts';
import { transpose } from './transpose.ts';
import { where } from './where.ts';

/** All ops; a new one is one file and one name here. */
export const ops = {
  add,
  and,
  cast,
  ceil,
  compare,
  concat,
  conv1d,
  cos,
  cumulativeSum,
  dequantize,
  div,
  dynamicRound,
  erf,
  expand,
  foreign,
  gather,
  gelu,
  isNan,
  layerNorm,
  linear,
  log,
  matmul,
  max,
  maximum,
  mean,
  minimum,
  mul,
  noNorm,
  normalize,
  not,
  or,
  pad,
  pick,
  quantize,
  range,
  relu,
  reshape,
  rsqrt,
  shift,
  sigmoid,
  sin,
  slice,
  softmax,
  sqrt,
  sub,
  sum,
  tanh,
  transpose,
  where,
};
/** The name of an op. */
export type OpName = keyof typeof ops;
/** The attributes of one op. */
export type AttrsOf<O extends OpName> = (typeof ops)[O]['attrs'];

/** An op's definition where its name is known only at run time. */
export function opDef(name: OpName): OpDef {
  return ops[name] as unknown as OpDef;
}
