import type { Rule } from '../rule.ts';
import { operatorsOf, type TfliteModel } from './model.ts';

/**
 * What the kernels write, whatever the file says. The specification's own numbers, not those that ops state and files are
 * written with: a mistake there would be one that this rule finds.
 */
const WANTED: { readonly [code: string]: { readonly [type: string]: readonly [scale: number, zeroPoint: number] } } = {
  SOFTMAX: { INT8: [1 / 256, -128], INT16: [1 / 32768, 0] },
  LOGISTIC: { INT8: [1 / 256, -128], INT16: [1 / 32768, 0] },
  TANH: { INT8: [1 / 128, 0], INT16: [1 / 32768, 0] },
};

export const fixedScales: Rule<TfliteModel> = {
  name: 'fixed-scales',
  summary:
    'integer SOFTMAX and LOGISTIC give steps of 1/256 from -128, TANH of 1/128 around 0: other files do not load',
  *check(model) {
    for (const { code, outputs } of operatorsOf(model, ...Object.keys(WANTED))) {
      const output = outputs[0];
      const wanted = output && WANTED[code]?.[output.type];
      if (output === undefined || wanted === undefined) continue;
      const [scale, zeroPoint] = wanted;
      if (output.scales[0] === scale && output.zeroPoints[0] === zeroPoint) continue;
      const problem = `${code} gives (${scale}, ${zeroPoint}), the file says (${output.scales[0]}, ${output.zeroPoints[0]})`;
      yield { severity: 'error', where: output.name, problem };
    }
  },
};
