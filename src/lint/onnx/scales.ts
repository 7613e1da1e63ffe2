import { sizeOf } from '../../ir/shape.ts';
import type { Finding, Rule } from '../rule.ts';
import { intOf, numbersOf, type OnnxLintModel } from './model.ts';

export const scales: Rule<OnnxLintModel> = {
  name: 'scales',
  summary: 'scales are positive and finite, one for all or one for each entry of the axis, with as many zero points',
  *check(model) {
    for (const node of model.nodes) {
      if (node.op !== 'QuantizeLinear' && node.op !== 'DequantizeLinear') continue;
      const [x = '', scaleName = '', zeroPointName = ''] = node.inputs;
      const scale = model.constants.get(scaleName);
      if (scale === undefined) continue;
      const values = numbersOf(scale);
      const odd = values.findIndex((value) => !(value > 0 && Number.isFinite(value)));
      if (odd >= 0) yield error(scaleName, `scale ${odd} is ${values[odd]}`);
      const zeroPoint = model.constants.get(zeroPointName);
      if (zeroPoint && sizeOf(zeroPoint.shape) !== values.length) {
        yield error(x, `has ${values.length} scales and ${sizeOf(zeroPoint.shape)} zero points`);
      }
      const shape = model.constants.get(x)?.shape;
      if (shape === undefined || values.length === 1 || intOf(node, 'block_size', 0) > 0) continue;
      const axis = intOf(node, 'axis', 1);
      const size = shape.at(axis);
      if (size !== values.length)
        yield error(x, `has ${values.length} scales for axis ${axis} of size ${size ?? 'none'}`);
    }
  },
};

function error(where: string, problem: string): Finding {
  return { severity: 'error', where, problem };
}
