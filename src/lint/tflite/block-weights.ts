import type { Rule } from '../rule.ts';
import { operatorsOf, type TfliteModel } from './model.ts';

/** The least size that LiteRT's 4-bit kernel is built for; below, its general one runs, which knows no blocks. */
const MIN_ROWS = 4;
const MIN_COLUMNS = 32;
const BLOCK_MULTIPLE = 32;

export const blockWeights: Rule<TfliteModel> = {
  name: 'block-weights',
  summary: 'scales per block: blocks of 32·n, 4 rows or more, no fused activation, as kernels ignore the rest',
  *check(model) {
    for (const { inputs, options } of operatorsOf(model, 'FULLY_CONNECTED')) {
      const weight = inputs[1];
      if (weight?.block === undefined) continue;
      const { size, scales } = weight.block;
      const [rows = 0, columns = 0] = weight.shape;
      const problems: string[] = [];
      if (size <= 0 || size % BLOCK_MULTIPLE !== 0)
        problems.push(`has blocks of ${size}, XNNPACK takes multiples of 32`);
      if (scales?.type !== 'FLOAT16') problems.push('has no f16 scales');
      if (rows < MIN_ROWS || columns < MIN_COLUMNS) {
        problems.push(`is [${rows}, ${columns}]: LiteRT's own kernel ignores the scales of so few`);
      }
      if (options?.kind === 'FullyConnectedOptions' && options.value.fusedActivationFunction !== 'NONE') {
        problems.push(`has a fused ${options.value.fusedActivationFunction}, which LiteRT's own kernel leaves out`);
      }
      for (const problem of problems) yield { severity: 'error', where: weight.name, problem };
    }
  },
};
