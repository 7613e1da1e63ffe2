import type { Rule } from '../rule.ts';
import { type TfliteModel, tensorsOf } from './model.ts';

export const quantizationLengths: Rule<TfliteModel> = {
  name: 'quantization-lengths',
  summary: 'as many zero points as scales, one or one per index of the quantized dimension: other files do not load',
  *check(model) {
    for (const { name, scales, zeroPoints, shape, quantizedDimension } of tensorsOf(model)) {
      if (scales.length === 0) continue;
      if (zeroPoints.length !== scales.length) {
        const problem = `has ${scales.length} scales and ${zeroPoints.length} zero points`;
        yield { severity: 'error', where: name, problem };
      }
      const size = shape[quantizedDimension];
      if (scales.length > 1 && scales.length !== size) {
        const problem = `has ${scales.length} scales for dimension ${quantizedDimension} of size ${size ?? 'none'}`;
        yield { severity: 'error', where: name, problem };
      }
    }
  },
};
