import type { Rule } from '../rule.ts';
import { operatorsOf, type TfliteModel } from './model.ts';

const MAX_INPUTS = 5;

export const concatInputs: Rule<TfliteModel> = {
  name: 'concat-inputs',
  summary: 'CONCATENATION has at most 5 inputs: XNNPACK declines more',
  *check(model) {
    for (const { inputs, where } of operatorsOf(model, 'CONCATENATION')) {
      if (inputs.length <= MAX_INPUTS) continue;
      yield { severity: 'warning', where, problem: `CONCATENATION has ${inputs.length} inputs` };
    }
  },
};
