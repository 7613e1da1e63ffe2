import type { Rule } from '../rule.ts';
import { type LintOperator, type LintTensor, operatorsOf, type TfliteModel } from './model.ts';
import { hasQuantOf } from './xnnpack-operators.ts';

/** Operators that only move values, with the index of the input that holds them; some move all of their inputs. */
const MOVES: { readonly [code: string]: number | 'all' } = {
  CONCATENATION: 'all',
  EXPAND_DIMS: 0,
  GATHER: 0,
  PACK: 'all',
  PAD: 0,
  RESHAPE: 0,
  SLICE: 0,
  SPLIT: 1,
  SQUEEZE: 0,
  STRIDED_SLICE: 0,
  TRANSPOSE: 0,
  UNPACK: 0,
};

export const keptScales: Rule<TfliteModel> = {
  name: 'kept-scales',
  summary:
    'operators that only move values keep scale and zero point: kernels copy the integers, a CONCATENATION does not load',
  *check(model) {
    for (const operator of operatorsOf(model, ...Object.keys(MOVES))) {
      for (const input of movedBy(operator)) {
        const output = operator.outputs.find((tensor) => differs(input, tensor));
        if (output === undefined) continue;
        const problem = `${operator.code} of ${input.name} ${quantText(input)} is ${quantText(output)}`;
        yield { severity: 'error', where: output.name, problem };
      }
    }
  },
};

function movedBy({ code, inputs }: LintOperator): readonly LintTensor[] {
  const which = MOVES[code];
  const moved = which === 'all' ? inputs : [inputs[which ?? 0]];
  return moved.filter((tensor) => tensor !== undefined);
}

function differs(input: LintTensor, output: LintTensor): boolean {
  return input.scales.length === 1 && !hasQuantOf(input, output);
}

function quantText({ scales, zeroPoints }: LintTensor): string {
  return `(${scales[0]}, ${zeroPoints[0]})`;
}
