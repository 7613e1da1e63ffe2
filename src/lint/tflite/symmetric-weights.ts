import type { Rule } from '../rule.ts';
import { type LintTensor, operatorsOf, type TfliteModel } from './model.ts';

export const symmetricWeights: Rule<TfliteModel> = {
  name: 'symmetric-weights',
  summary:
    'integer weights stay within ±127 (i8) and ±7 (i4), as the quantization specification says: some kernels negate them',
  *check(model) {
    const seen = new Set<LintTensor>();
    for (const { code, inputs } of operatorsOf(model, 'FULLY_CONNECTED', 'CONV_2D', 'EMBEDDING_LOOKUP')) {
      const weight = inputs[1];
      if (weight?.data === undefined || seen.has(weight)) continue;
      seen.add(weight);
      const least = weight.type === 'INT8' ? -128 : weight.type === 'INT4' ? -8 : undefined;
      if (least === undefined || !hasLeast(weight.type, weight.data)) continue;
      yield { severity: 'error', where: weight.name, problem: `${code} weight holds ${least}, outside ±${-least - 1}` };
    }
  },
};

function hasLeast(type: string, data: Uint8Array): boolean {
  if (type === 'INT8') return data.includes(0x80);
  for (let i = 0; i < data.length; i++) {
    const pair = data[i] as number;
    if ((pair & 0x0f) === 0x08 || pair >> 4 === 0x08) return true;
  }
  return false;
}
