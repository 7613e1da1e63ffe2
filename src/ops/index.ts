import type { OpDef } from '../op.ts';
import { add } from './add.ts';
import { cast } from './cast.ts';
import { concat } from './concat.ts';
import { conv1d } from './conv1d.ts';
import { dequantize } from './dequantize.ts';
import { div } from './div.ts';
import { erf } from './erf.ts';
import { gather } from './gather.ts';
import { gelu } from './gelu.ts';
import { layerNorm } from './layer-norm.ts';
import { linear } from './linear.ts';
import { matmul } from './matmul.ts';
import { mean } from './mean.ts';
import { mul } from './mul.ts';
import { noNorm } from './no-norm.ts';
import { pad } from './pad.ts';
import { quantize } from './quantize.ts';
import { relu } from './relu.ts';
import { reshape } from './reshape.ts';
import { rsqrt } from './rsqrt.ts';
import { shift } from './shift.ts';
import { sigmoid } from './sigmoid.ts';
import { slice } from './slice.ts';
import { softmax } from './softmax.ts';
import { sqrt } from './sqrt.ts';
import { sub } from './sub.ts';
import { tanh } from './tanh.ts';
import { transpose } from './transpose.ts';

/** Every op there is; a new one is one file and one name here. */
export const ops = {
  add,
  cast,
  concat,
  conv1d,
  dequantize,
  div,
  erf,
  gather,
  gelu,
  layerNorm,
  linear,
  matmul,
  mean,
  mul,
  noNorm,
  pad,
  quantize,
  relu,
  reshape,
  rsqrt,
  shift,
  sigmoid,
  slice,
  softmax,
  sqrt,
  sub,
  tanh,
  transpose,
};
export type OpName = keyof typeof ops;
export type AttrsOf<O extends OpName> = (typeof ops)[O]['attrs'];

/** An op's definition where its name is known only at run time. */
export function opDef(name: OpName): OpDef {
  return ops[name] as unknown as OpDef;
}
