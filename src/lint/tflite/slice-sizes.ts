import type { Rule } from '../rule.ts';
import { operatorsOf, type TfliteModel } from './model.ts';
import { readI32 } from './xnnpack-operators.ts';

export const sliceSizes: Rule<TfliteModel> = {
  name: 'slice-sizes',
  summary: 'SLICE says how much it takes: XNNPACK declines the size -1, which means the rest',
  *check(model) {
    for (const { inputs, where } of operatorsOf(model, 'SLICE')) {
      const sizes = inputs[2] && readI32(inputs[2]);
      const axis = sizes?.findIndex((size) => size <= 0) ?? -1;
      if (axis < 0) continue;
      yield { severity: 'warning', where, problem: `SLICE has the size ${sizes?.[axis]} along axis ${axis}` };
    }
  },
};
