import type { Rule } from '../rule.ts';
import { operatorsOf, type TfliteModel } from './model.ts';

const SIGNED: ReadonlySet<string> = new Set(['INT8', 'INT4', 'INT2', 'INT16']);

export const weightZeroPoints: Rule<TfliteModel> = {
  name: 'weight-zero-points',
  summary:
    'signed integer weights and tables have the zero point 0: kernels leave it out, XNNPACK fails to load per channel',
  *check(model) {
    for (const { code, inputs } of operatorsOf(model, 'FULLY_CONNECTED', 'CONV_2D', 'EMBEDDING_LOOKUP')) {
      const weight = inputs[1];
      if (weight?.data === undefined || !SIGNED.has(weight.type)) continue;
      const at = weight.zeroPoints.findIndex((zeroPoint) => zeroPoint !== 0);
      if (at < 0) continue;
      const problem = `${code} weight has the zero point ${weight.zeroPoints[at]} (entry ${at}), must be 0`;
      yield { severity: 'error', where: weight.name, problem };
    }
  },
};
