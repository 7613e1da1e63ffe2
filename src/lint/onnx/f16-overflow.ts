import { readF32, type Tensor } from '../../ir/tensor.ts';
import type { Rule } from '../rule.ts';
import { intOf, type OnnxLintModel } from './model.ts';

const MAX_F16 = 65504;
/** The value of TensorProto.DataType.FLOAT16 in the attribute `to` of a Cast. */
const FLOAT16 = 10;

export const f16Overflow: Rule<OnnxLintModel> = {
  name: 'f16-overflow',
  summary: 'constants fit f16, which ends at 65504: beyond it a mask is infinite, and a row that is all padding NaN',
  *check(model) {
    for (const [where, tensor] of model.constants) {
      if (tensor.dtype !== 'f16' && tensor.dtype !== 'f32') continue;
      const value = overflowOf(tensor);
      if (value === undefined) continue;
      const isHalf = tensor.dtype === 'f16' || becomesF16(model, where);
      // A file of floats is right as it is, but not on runtimes that compute it in f16 (WebGPU, NNAPI, Core ML).
      yield {
        severity: isHalf ? 'error' : 'warning',
        where,
        problem: isHalf ? `holds ${value}, and f16 ends at ${MAX_F16}` : `holds ${value}, which is infinite in f16`,
      };
    }
  },
};

function becomesF16(model: OnnxLintModel, name: string): boolean {
  return (model.readers.get(name) ?? []).some((reader) => reader.op === 'Cast' && intOf(reader, 'to', 0) === FLOAT16);
}

/** The first value outside the range of f16; NaN is not one. */
function overflowOf(tensor: Tensor): number | undefined {
  return readF32(tensor).find((value) => Math.abs(value) > MAX_F16);
}
