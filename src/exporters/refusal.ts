import { MbertError } from '../errors.ts';
import type { Call } from '../ir/graph.ts';
import { foreignText } from '../ir/ops/foreign.ts';
import type { OpName } from '../ir/ops/index.ts';

/** Ops that no format has a form for: what an importer could not read is carried along, for inspect and diff. */
export const refused = { foreign: 'not read', pick: 'not read' } as const satisfies { readonly [O in OpName]?: string };

/** Ways out by the name of the operator that could not be read; the first that fits. */
const WAYS_OUT: readonly (readonly [operator: RegExp, hint: string])[] = [
  [/MatMulBnb4$/, 'write 4-bit weights as MatMulNBits (int4), or convert the float model and quantize with mbert'],
  [/^com\.microsoft::/, "convert the model as it was before ONNX Runtime's optimizer or quantizer"],
  [/Quantize|Integer$|^QLinear/, 'convert the float model and quantize with mbert'],
  [/^(?:Loop|If|Scan|WHILE|IF|While)$/, 'export without control flow'],
  [/^CUSTOM/, 'convert with builtin operators only, without SELECT_TF_OPS'],
  [/^(?:Shape|Range|SHAPE|RANGE|Attention|Trilu)$/, "export with attn_implementation='eager', or with fixed sizes"],
];

const WAY_OUT = 'convert the checkpoint that the model was exported from';

/** Refuses a node without a lowering by its op, a foreign one by the name that its source gave it. */
export function refuse(node: Call, format: string): never {
  const source = node.op === 'pick' && node.inputs[0]?.op === 'foreign' ? node.inputs[0] : node;
  const op = source.op === 'foreign' ? foreignText(source.attrs) : source.op;
  const operator = source.op === 'foreign' ? String(source.attrs['op']) : '';
  const [, hint = WAY_OUT] = WAYS_OUT.find(([pattern]) => pattern.test(operator)) ?? [];
  throw new MbertError('UNSUPPORTED', `${node.name}: ${format} has no lowering for ${op}`, { hint });
}
