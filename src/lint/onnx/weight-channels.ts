import { sizeOf } from '../../ir/shape.ts';
import type { Rule } from '../rule.ts';
import { integerLinears } from './linears.ts';
import type { OnnxLintModel } from './model.ts';

export const weightChannels: Rule<OnnxLintModel> = {
  name: 'weight-channels',
  summary: 'each output of a linear has a scale of its own: one for all of them is as fast and loses decibels',
  *check(model) {
    for (const { where, scale, channels, isBlockwise } of integerLinears(model)) {
      if (scale === undefined || isBlockwise || channels < 2 || sizeOf(scale.shape) > 1) continue;
      yield { severity: 'warning', where, problem: `weight has one scale for all of its ${channels} outputs` };
    }
  },
};
