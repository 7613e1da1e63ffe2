import type { Rule } from '../rule.ts';
import { integerLinears } from './linears.ts';
import type { OnnxLintModel } from './model.ts';

export const weightTypes: Rule<OnnxLintModel> = {
  name: 'weight-types',
  summary: 'weights are i8: products of u8 activations with u8 weights take a kernel that is a third slower',
  *check(model) {
    for (const { where, weight } of integerLinears(model)) {
      if (weight.dtype !== 'u8') continue;
      yield { severity: 'warning', where, problem: 'weight is u8, which takes the slow kernel for u8 with u8' };
    }
  },
};
