import type { Rule } from '../rule.ts';
import { type TfliteModel, tensorsOf } from './model.ts';
import { isNormal } from './xnnpack-operators.ts';

export const scales: Rule<TfliteModel> = {
  name: 'scales',
  summary: 'scales are positive normal numbers: XNNPACK refuses a tensor with others',
  *check(model) {
    for (const tensor of tensorsOf(model)) {
      const at = tensor.scales.findIndex((scale) => !isNormal(scale));
      if (at < 0) continue;
      yield { severity: 'error', where: tensor.name, problem: `scale ${at} is ${tensor.scales[at]}` };
    }
  },
};
