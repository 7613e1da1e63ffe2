import type { Node } from '../../ir/graph.ts';
import type { TfliteBuilder } from './builder.ts';

export function inputOf(node: Node, at: number): Node {
  return node.inputs[at] as Node;
}

/** Tensor of a node's input as its operator wants it: integer constants come dequantized where floats are computed. */
export function operand(node: Node, at: number, out: TfliteBuilder): number {
  const x = inputOf(node, at);
  if (x.op !== 'constant' || x.type.quant === undefined || node.type.quant !== undefined) return out.value(x);
  return out.once(`real ${x.name}`, () => {
    const result = { name: `${x.name}/real`, type: { dtype: 'f32', shape: x.type.shape } } as const;
    return out.op('DEQUANTIZE', [out.value(x)], result, { kind: 'DequantizeOptions', value: {} });
  });
}

export function operands(node: Node, out: TfliteBuilder): number[] {
  return node.inputs.map((_, at) => operand(node, at, out));
}
