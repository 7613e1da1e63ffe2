import type { Rule } from '../rule.ts';
import { numbersOf, type OnnxLintModel } from './model.ts';

export const scalarScales: Rule<OnnxLintModel> = {
  name: 'scalar-scales',
  summary: 'scales and zero points of activations have rank 0: ONNX Runtime refuses [1] where it makes a QLinearAdd',
  *check(model) {
    const seen = new Set<string>();
    for (const { op, inputs } of model.nodes) {
      const [x = '', ...parameters] = inputs;
      if ((op !== 'QuantizeLinear' && op !== 'DequantizeLinear') || model.constants.has(x)) continue;
      for (const name of parameters) {
        const tensor = model.constants.get(name);
        if (tensor === undefined || tensor.shape.length === 0 || seen.has(name)) continue;
        if (numbersOf(tensor).length !== 1) continue;
        seen.add(name);
        yield { severity: 'warning', where: name, problem: `has the shape [${tensor.shape}], and rank 0 is safe` };
      }
    }
  },
};
