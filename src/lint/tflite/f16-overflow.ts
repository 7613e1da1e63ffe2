import { readF32, type Tensor } from '../../ir/tensor.ts';
import type { Rule } from '../rule.ts';
import { type LintTensor, type TfliteModel, tensorsOf } from './model.ts';

const MAX_F16 = 65504;

/** The metadata entry that lets XNNPACK on ARM compute a float file in f16. */
const REDUCED_PRECISION = 'reduced_precision_support';

export const f16Overflow: Rule<TfliteModel> = {
  name: 'f16-overflow',
  summary:
    'f16 constants are finite, and so are f32 ones of a file that may run in f16: beyond 65504 there is only infinity',
  *check(model) {
    const mayRunInF16 = model.file.metadata?.some(({ name }) => name === REDUCED_PRECISION) === true;
    for (const tensor of tensorsOf(model)) {
      const isHalf = tensor.type === 'FLOAT16';
      if (tensor.data === undefined || (!isHalf && !(mayRunInF16 && tensor.type === 'FLOAT32'))) continue;
      const values = floatsOf(tensor, tensor.data);
      const at = values.findIndex((value) => !(Math.abs(value) <= MAX_F16));
      if (at < 0) continue;
      yield {
        severity: 'error',
        where: tensor.name,
        problem: `element ${at} is ${values[at]}, and f16 ends at ${MAX_F16}`,
      };
    }
  },
};

function floatsOf({ type }: LintTensor, data: Uint8Array): Float32Array {
  const width = type === 'FLOAT16' ? 2 : 4;
  const count = Math.floor(data.byteLength / width);
  const dtype = type === 'FLOAT16' ? 'f16' : 'f32';
  const tensor: Tensor = { dtype, shape: [count], bytes: () => data.subarray(0, count * width) };
  return readF32(tensor);
}
