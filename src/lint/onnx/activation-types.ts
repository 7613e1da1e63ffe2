import type { Rule } from '../rule.ts';
import type { OnnxLintModel } from './model.ts';

export const activationTypes: Rule<OnnxLintModel> = {
  name: 'activation-types',
  summary: 'activations are u8: i8 fuses only in part on x86, and Relu vanishes only into u8',
  *check(model) {
    for (const node of model.nodes) {
      if (node.op !== 'QuantizeLinear') continue;
      const dtype = model.constants.get(node.inputs[2] ?? '')?.dtype;
      const [where = ''] = node.outputs;
      if (dtype === 'i8') yield { severity: 'warning', where, problem: 'is quantized to i8; u8 is fast everywhere' };
    }
  },
};
