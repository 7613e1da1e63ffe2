import type { Rule } from '../rule.ts';
import type { OnnxLintModel } from './model.ts';

export const sharedRounding: Rule<OnnxLintModel> = {
  name: 'shared-rounding',
  summary: 'a value has one DynamicQuantizeLinear for all its readers: without optimizations each computes it again',
  *check(model) {
    const counts = new Map<string, number>();
    for (const { op, inputs } of model.nodes) {
      const [x = ''] = inputs;
      if (op === 'DynamicQuantizeLinear') counts.set(x, (counts.get(x) ?? 0) + 1);
    }
    for (const [where, count] of counts) {
      if (count > 1) yield { severity: 'warning', where, problem: `has ${count} DynamicQuantizeLinear, one is enough` };
    }
  },
};
