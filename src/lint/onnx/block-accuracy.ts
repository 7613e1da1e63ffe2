import type { Rule } from '../rule.ts';
import { intOf, type OnnxLintModel } from './model.ts';

/** The accuracy level at which MatMulNBits rounds what it reads and computes on integers. */
const INTEGER_LEVEL = 4;

export const blockAccuracy: Rule<OnnxLintModel> = {
  name: 'block-accuracy',
  summary: 'MatMulNBits has accuracy_level 4: with any other it unpacks weights and computes on floats',
  *check({ nodes }) {
    for (const node of nodes) {
      if (node.op !== 'MatMulNBits') continue;
      const level = intOf(node, 'accuracy_level', 0);
      if (level === INTEGER_LEVEL) continue;
      const problem = `its accuracy_level is ${level}: it unpacks its weight and computes on floats, slower than floats alone`;
      yield { severity: 'warning', where: node.outputs[0] ?? node.name, problem };
    }
  },
};
