import type { Rule } from '../rule.ts';
import type { OnnxLintModel } from './model.ts';

export const externalData: Rule<OnnxLintModel> = {
  name: 'external-data',
  summary: "weights in other files lie in the model's own folder: runtimes refuse paths that leave it",
  *check({ unreadable }) {
    for (const [location, why] of unreadable) {
      yield { severity: 'error', where: JSON.stringify(location), problem: `external data: the file ${why}` };
    }
  },
};
