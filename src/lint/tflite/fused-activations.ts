import type { Rule } from '../rule.ts';
import { operatorsOf, type TfliteModel } from './model.ts';

export const fusedActivations: Rule<TfliteModel> = {
  name: 'fused-activations',
  summary: 'an integer RELU is part of the operator before it: XNNPACK declines it alone, 9.6x slower over a model',
  *check(model) {
    for (const { code, inputs, where } of operatorsOf(model, 'RELU', 'RELU6', 'RELU_N1_TO_1')) {
      const type = inputs[0]?.type;
      if (type !== 'INT8' && type !== 'UINT8' && type !== 'INT16') continue;
      yield { severity: 'warning', where, problem: `${code} of ${type} stands alone` };
    }
  },
};
