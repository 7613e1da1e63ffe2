import type { Rule } from '../rule.ts';
import { operatorsOf, type TfliteModel } from './model.ts';
import { ratioProblem } from './xnnpack-operators.ts';

export const scaleRatios: Rule<TfliteModel> = {
  name: 'scale-ratios',
  summary:
    'scales of integer sums and products are within what XNNPACK holds: s_x/s_y in [2^-10, 2^8), s_a·s_b/s_y in [2^-16, 2^8)',
  *check(model) {
    for (const operator of operatorsOf(model, 'ADD', 'SUB', 'MUL', 'QUANTIZE')) {
      const problem = ratioProblem(operator);
      if (problem !== null) yield { severity: 'warning', where: operator.where, problem };
    }
  },
};
