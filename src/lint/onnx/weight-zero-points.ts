import type { Rule } from '../rule.ts';
import { integerLinears, UNSIGNED } from './linears.ts';
import { numbersOf, type OnnxLintModel } from './model.ts';

export const weightZeroPoints: Rule<OnnxLintModel> = {
  name: 'weight-zero-points',
  summary:
    'signed weights are symmetric, with the zero point 0: others cost a correction per row, or a delegate refuses',
  *check(model) {
    for (const { where, weight, zeroPoint } of integerLinears(model)) {
      if (zeroPoint === undefined || UNSIGNED.has(weight.dtype)) continue;
      const values = numbersOf(zeroPoint);
      const at = values.findIndex((value) => value !== 0);
      if (at < 0) continue;
      const problem = `${weight.dtype} weight has the zero point ${values[at]} (entry ${at}), 0 is symmetric`;
      yield { severity: 'warning', where, problem };
    }
  },
};
