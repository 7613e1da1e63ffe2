import { minimalVersion, type OperatorForm } from '../../exporters/tflite/versions.ts';
import type { Quant, TensorType } from '../../ir/tensor.ts';
import type { Rule } from '../rule.ts';
import { dtypeOf, type LintOperator, type LintTensor, operatorsOf, type TfliteModel } from './model.ts';

export const operatorVersions: Rule<TfliteModel> = {
  name: 'operator-versions',
  summary:
    'operators have the lowest version that knows their form: old runtimes misread lower ones and refuse higher ones',
  *check(model) {
    const needs = new Map<number, { readonly operator: LintOperator; readonly version: number }>();
    for (const operator of operatorsOf(model)) {
      const form = formOf(operator);
      const version = form && minimalVersion(operator.code, form);
      if (version === undefined || version === null) continue;
      if (version > (needs.get(operator.codeIndex)?.version ?? 0)) needs.set(operator.codeIndex, { operator, version });
    }
    for (const { operator, version } of needs.values()) {
      if (operator.version === version) continue;
      const problem = `${operator.code} is version ${operator.version}, its form needs ${version}`;
      yield { severity: operator.version < version ? 'error' : 'warning', where: operator.where, problem };
    }
  },
};

/** The type of an input that is left out, which still counts as an input. */
const OMITTED: TensorType = { dtype: 'bool', shape: [] };

/** The form of an operator that decides its version; undefined where a type is not one of mbert's. */
function formOf({ inputs, outputs, options }: LintOperator): OperatorForm | undefined {
  const types = [...inputs, ...outputs].map((tensor) => (tensor === undefined ? OMITTED : typeOf(tensor)));
  if (types.some((type) => type === undefined)) return undefined;
  const all = types as readonly TensorType[];
  return { inputs: all.slice(0, all.length - outputs.length), outputs: all.slice(-outputs.length), options };
}

function typeOf(tensor: LintTensor): TensorType | undefined {
  const dtype = dtypeOf(tensor);
  const quant = quantOf(tensor);
  return dtype && { dtype, shape: tensor.shape, ...(quant && { quant }) };
}

function quantOf({ scales, zeroPoints, quantizedDimension, block }: LintTensor): Quant | undefined {
  if (block !== undefined) return { per: 'block', axis: 1, size: block.size, scales: new Float32Array(0) };
  if (scales.length === 0) return undefined;
  if (scales.length === 1) return { per: 'tensor', scale: scales[0] as number, zeroPoint: zeroPoints[0] ?? 0 };
  return { per: 'channel', axis: quantizedDimension, scales };
}
