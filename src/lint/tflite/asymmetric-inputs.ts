import type { Rule } from '../rule.ts';
import { operatorsOf, type TfliteModel } from './model.ts';

export const asymmetricInputs: Rule<TfliteModel> = {
  name: 'asymmetric-inputs',
  summary:
    "float inputs of integer weights are quantized with a zero point: without, LiteRT's own kernels lose half a bit",
  *check(model) {
    for (const { code, inputs, options, where } of operatorsOf(model, 'FULLY_CONNECTED', 'BATCH_MATMUL')) {
      const [x, weight] = inputs;
      const isHybrid = x?.type === 'FLOAT32' && (weight?.type === 'INT8' || weight?.type === 'INT4');
      if (!isHybrid) continue;
      const isAsymmetric =
        (options?.kind === 'FullyConnectedOptions' || options?.kind === 'BatchMatMulOptions') &&
        options.value.asymmetricQuantizeInputs;
      if (!isAsymmetric) yield { severity: 'warning', where, problem: `${code} has asymmetric_quantize_inputs false` };
    }
  },
};
