import type { Rule } from '../rule.ts';
import { operatorsOf, type TfliteModel } from './model.ts';

/**
 * Scales and zero points that the kernels write, whatever the file says. The numbers are the specification's own, not
 * those that ops state and files are written with, so that this rule finds a mistake in those.
 */
const FIXED: { readonly [code: string]: { readonly [type: string]: readonly [scale: number, zeroPoint: number] } } = {
  SOFTMAX: { INT8: [1 / 256, -128], INT16: [1 / 32768, 0] },
  LOGISTIC: { INT8: [1 / 256, -128], INT16: [1 / 32768, 0] },
  TANH: { INT8: [1 / 128, 0], INT16: [1 / 32768, 0] },
};

export const fixedScales: Rule<TfliteModel> = {
  name: 'fixed-scales',
  summary:
    'integer SOFTMAX and LOGISTIC give steps of 1/256 from -128, TANH of 1/128 around 0: other files do not load',
  *check(model) {
    for (const { code, outputs } of operatorsOf(model, ...Object.keys(FIXED))) {
      const output = outputs[0];
      const fixed = output && FIXED[code]?.[output.type];
      if (output === undefined || fixed === undefined) continue;
      const [scale, zeroPoint] = fixed;
      if (output.scales[0] === scale && output.zeroPoints[0] === zeroPoint) continue;
      const problem = `${code} gives (${scale}, ${zeroPoint}), the file says (${output.scales[0]}, ${output.zeroPoints[0]})`;
      yield { severity: 'error', where: output.name, problem };
    }
  },
};
