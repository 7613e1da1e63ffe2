import type { OnnxFileNode } from '../../formats/onnx-decode.ts';
import type { DType } from '../../ir/tensor.ts';
import type { Rule } from '../rule.ts';
import { intOf, type OnnxLintModel } from './model.ts';

/** An operator, or a form of it, with the operator set that brought it (onnx.ai/onnx/operators). */
interface Need {
  readonly opset: number;
  readonly what: string;
}

const OPERATORS: ReadonlyMap<string, number> = new Map([
  ['DynamicQuantizeLinear', 11],
  ['QuantizeLinear', 10],
  ['DequantizeLinear', 10],
  ['MatMulInteger', 10],
  ['LayerNormalization', 17],
  ['Gelu', 20],
  ['Attention', 23],
]);

const WIDE: ReadonlySet<DType> = new Set(['i4', 'u4', 'i16', 'u16']);
const NIBBLES: ReadonlySet<DType> = new Set(['i4', 'u4']);
/** The IR version that brought 4-bit tensors. */
const NIBBLE_IR_VERSION = 10;

export const operatorVersions: Rule<OnnxLintModel> = {
  name: 'operator-versions',
  summary: 'the operator set holds what the file uses: 4 and 16 bits and blocks need 21, scales per channel 13',
  *check(model) {
    const reported = new Set<string>();
    for (const node of model.nodes) {
      if (node.domain !== '' || model.file.functions.has(`::${node.op}`)) continue;
      for (const { opset, what } of needsOf(model, node)) {
        if (model.opset >= opset || reported.has(what)) continue;
        reported.add(what);
        yield {
          severity: 'error',
          where: node.name,
          problem: `${what} needs opset ${opset}, the file has ${model.opset}`,
        };
      }
    }
    if (model.file.irVersion >= NIBBLE_IR_VERSION) return;
    for (const [where, { dtype }] of model.constants) {
      if (!NIBBLES.has(dtype)) continue;
      const problem = `${dtype} needs IR version ${NIBBLE_IR_VERSION}, the file has ${model.file.irVersion}`;
      yield { severity: 'error', where, problem };
      return;
    }
  },
};

function* needsOf(model: OnnxLintModel, node: OnnxFileNode): Iterable<Need> {
  const opset = OPERATORS.get(node.op);
  if (opset !== undefined) yield { opset, what: node.op };
  if (node.op !== 'QuantizeLinear' && node.op !== 'DequantizeLinear') return;
  const [x = '', scale = '', zeroPoint = ''] = node.inputs;
  const dtype = (
    model.constants.get(zeroPoint) ?? (node.op === 'DequantizeLinear' ? model.constants.get(x) : undefined)
  )?.dtype;
  if (dtype !== undefined && WIDE.has(dtype)) yield { opset: 21, what: `${node.op} of ${dtype}` };
  if (intOf(node, 'block_size', 0) > 0) yield { opset: 21, what: `${node.op} in blocks` };
  if ((model.constants.get(scale)?.shape.length ?? 0) > 0) yield { opset: 13, what: `${node.op} per channel` };
}
