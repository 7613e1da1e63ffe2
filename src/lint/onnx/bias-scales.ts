import type { Rule } from '../rule.ts';
import { integerLinears } from './linears.ts';
import { numbersOf, type OnnxLintModel } from './model.ts';

/** The relative difference that is still the same scale: f32 products in another order differ by an ulp or two. */
const TOLERANCE = 1e-5;

export const biasScales: Rule<OnnxLintModel> = {
  name: 'bias-scales',
  summary: 'an i32 bias has the scale s_x·s_w and the zero point 0: QGemm adds its integers without looking at either',
  *check(model) {
    for (const { x, scale, bias, channels } of integerLinears(model)) {
      if (x?.scale === undefined || scale === undefined || bias?.scale === undefined) continue;
      const [inputs, weights, stated] = [x.scale, scale, bias.scale].map(numbersOf) as [
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      const zeroPoint = bias.zeroPoint && numbersOf(bias.zeroPoint).find((value) => value !== 0);
      if (zeroPoint !== undefined) {
        yield { severity: 'error', where: bias.stored, problem: `is a bias with the zero point ${zeroPoint}` };
      }
      for (let channel = 0; channel < channels; channel++) {
        const expected = (inputs[0] as number) * ((weights[channel] ?? weights[0]) as number);
        const actual = (stated[channel] ?? stated[0]) as number;
        if (Math.abs(actual - expected) <= TOLERANCE * expected) continue;
        const problem = `scale ${channel} is ${actual}, and s_x·s_w is ${expected}`;
        yield { severity: 'error', where: bias.stored, problem };
        break;
      }
    }
  },
};
