import type { Rule } from '../rule.ts';
import type { OnnxLintModel } from './model.ts';

/** Inputs of MatMulNBits by place. */
const PARAMETERS = [
  [2, 'scales'],
  [3, 'zero points'],
] as const;

/**
 * Scales that a node computes give NaN in ONNX Runtime 1.21.1, 1.22.1 and 1.23.2, and errors of 3.2 on values to 5.6 in
 * 1.30.0 and 1.32.0, without an error. Graph optimizations (`basic` is enough) fold them into a constant first. Without
 * optimizations they are right where a Reshape makes the weight, so that the kernel packs nothing beforehand: only
 * what folds constants takes both away.
 */
export const blockScales: Rule<OnnxLintModel> = {
  name: 'block-scales',
  summary:
    'scales and zero points of MatMulNBits are stored, or its weight is behind a Reshape: else ONNX Runtime gives wrong numbers without graph optimizations',
  *check({ nodes, constants, makers }) {
    for (const { op, name, inputs, outputs } of nodes) {
      if (op !== 'MatMulNBits' || makers.get(inputs[1] ?? '')?.op === 'Reshape') continue;
      for (const [place, what] of PARAMETERS) {
        const value = inputs[place] ?? '';
        if (value === '' || constants.has(value)) continue;
        const problem = `its ${what} ${value} are computed: ONNX Runtime gives wrong numbers where graph optimizations are off`;
        yield { severity: 'error', where: outputs[0] ?? name, problem };
      }
    }
  },
};
