import { byteLength } from '../../ir/tensor.ts';
import type { Rule } from '../rule.ts';
import { dtypeOf, type TfliteModel, tensorsOf } from './model.ts';

export const bufferLengths: Rule<TfliteModel> = {
  name: 'buffer-lengths',
  summary: 'a constant has the bytes that its type and shape make',
  *check(model) {
    for (const tensor of tensorsOf(model)) {
      const dtype = dtypeOf(tensor);
      if (tensor.data === undefined || dtype === undefined) continue;
      const expectedBytes = byteLength(dtype, tensor.shape);
      if (tensor.data.byteLength === expectedBytes) continue;
      const problem = `${tensor.type} [${tensor.shape.join(', ')}] needs ${expectedBytes} bytes, has ${tensor.data.byteLength}`;
      yield { severity: 'error', where: tensor.name, problem };
    }
  },
};
