import type { Rule } from '../rule.ts';
import { type TfliteModel, tensorsOf } from './model.ts';

/** Below are f32's subnormal numbers. */
const LEAST = 2 ** -126;

export const scales: Rule<TfliteModel> = {
  name: 'scales',
  summary: 'scales are positive normal numbers: XNNPACK refuses a tensor with others',
  *check(model) {
    for (const tensor of tensorsOf(model)) {
      const at = tensor.scales.findIndex((scale) => !(scale >= LEAST && scale < Number.POSITIVE_INFINITY));
      if (at < 0) continue;
      yield { severity: 'error', where: tensor.name, problem: `scale ${at} is ${tensor.scales[at]}` };
    }
  },
};
