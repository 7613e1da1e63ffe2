import type { Rule } from '../rule.ts';
import { type LintTensor, operatorsOf, type TfliteModel } from './model.ts';

/**
 * The relative difference that is still the same scale: writers that multiply in f64 round differently. LiteRT itself
 * allows 2 % where it looks at all.
 */
const TOLERANCE = 1e-5;

const INTEGERS: ReadonlySet<string> = new Set(['INT8', 'UINT8', 'INT16']);

export const biasScales: Rule<TfliteModel> = {
  name: 'bias-scales',
  summary:
    'integer biases are in steps of s_x·s_w and say so: kernels assume it unseen, XNNPACK declines a bias without scales',
  *check(model) {
    for (const { inputs } of operatorsOf(model, 'FULLY_CONNECTED', 'CONV_2D')) {
      const [x, weight, bias] = inputs;
      if (!x || !weight || !bias) continue;
      const problem = problemOf(x, weight, bias);
      if (problem !== undefined) yield { severity: 'error', where: bias.name, problem };
    }
  },
};

function problemOf(x: LintTensor, weight: LintTensor, bias: LintTensor): string | undefined {
  const isInteger = bias.type === 'INT32' || bias.type === 'INT64';
  if (isInteger !== INTEGERS.has(x.type)) return `is a bias of ${bias.type} under ${x.type}`;
  if (!isInteger) return undefined;
  if (bias.scales.length === 0) return 'is an integer bias without scales';
  if (bias.zeroPoints.some((zeroPoint) => zeroPoint !== 0)) return 'is a bias with a zero point';
  if (bias.scales.length !== weight.scales.length) {
    return `has ${bias.scales.length} scales, its weight ${weight.name} ${weight.scales.length}`;
  }
  for (let i = 0; i < bias.scales.length; i++) {
    const expected = (x.scales[0] ?? 0) * (weight.scales[i] as number);
    const scale = bias.scales[i] as number;
    if (Math.abs(scale - expected) > TOLERANCE * expected) return `scale ${i} is ${scale}, and s_x·s_w is ${expected}`;
  }
  return undefined;
}
