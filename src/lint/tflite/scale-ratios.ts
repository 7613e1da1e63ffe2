import type { Rule } from '../rule.ts';
import { operatorsOf, type TfliteModel } from './model.ts';
import { ratioProblem, requantizationProblem } from './xnnpack-operators.ts';

export const scaleRatios: Rule<TfliteModel> = {
  name: 'scale-ratios',
  summary:
    'scales fit XNNPACK: of sums s_x/s_y in [2^-10, 2^8), of MUL s_a·s_b/s_y in [2^-16, 2^8), of linears below 2^8',
  *check(model) {
    for (const operator of operatorsOf(model)) {
      const declined = ratioProblem(operator);
      if (declined !== null) yield { severity: 'warning', where: operator.where, problem: declined };
      const failed = requantizationProblem(operator);
      if (failed !== null) yield { severity: 'error', where: operator.where, problem: failed };
    }
  },
};
