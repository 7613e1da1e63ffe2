import type { Rule } from '../rule.ts';
import { operatorsOf, type TfliteModel } from './model.ts';

export const matmulZeroPoints: Rule<TfliteModel> = {
  name: 'matmul-zero-points',
  summary:
    'the right operand of an integer BATCH_MATMUL (K, V) has the zero point 0: XNNPACK declines it otherwise, 2.5x slower',
  *check(model) {
    for (const { inputs, where } of operatorsOf(model, 'BATCH_MATMUL')) {
      const right = inputs[1];
      if (right === undefined || (right.type !== 'INT8' && right.type !== 'INT16')) continue;
      const zeroPoint = right.zeroPoints[0] ?? 0;
      if (zeroPoint === 0) continue;
      // Kernels for i16 do not subtract zero points at all.
      const severity = right.type === 'INT16' ? 'error' : 'warning';
      yield { severity, where, problem: `its right operand ${right.name} has the zero point ${zeroPoint}` };
    }
  },
};
