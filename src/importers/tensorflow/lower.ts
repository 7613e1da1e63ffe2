import { tfDtypeOf } from '../../formats/tf-types.ts';
import { lookUp } from '../../io/look-up.ts';
import type { Attr } from '../../ir/op.ts';
import { UNKNOWN_SHAPE } from '../../ir/ops/foreign.ts';
import type { Shape } from '../../ir/shape.ts';
import type { DType } from '../../ir/tensor.ts';
import type { TfBuilder, Value } from './builder.ts';
import { elementwiseLowerings } from './elementwise.ts';
import type { FlatNode } from './inline.ts';
import { computeIntegers } from './integers.ts';
import { productLowerings } from './products.ts';
import { quantLowerings } from './quants.ts';
import { type Lowering, shapeLowerings } from './shapes.ts';

const lowerings: { readonly [op: string]: Lowering } = {
  ...elementwiseLowerings,
  ...productLowerings,
  ...quantLowerings,
  ...shapeLowerings,
};

/**
 * Lowers a node whose inputs are lowered, to known integers, nodes of ours, or a foreign node where there is no word
 * for it. `outputCount` is the number of its outputs that anything reads.
 */
export function lowerNode(
  node: FlatNode,
  out: TfBuilder,
  outputCount: number,
  also: { readonly [op: string]: Lowering } = {},
): readonly Value[] {
  if (!readsUnknown(node, out)) {
    const known = computeIntegers(node, out);
    if (known !== null) return [known];
    const values = (lookUp(also, node.op) ?? lookUp(lowerings, node.op))?.(node, out) ?? null;
    if (values !== null) return Array.isArray(values) ? values : [values as Value];
  }
  return foreignValues(node, out, outputCount);
}

function readsUnknown(node: FlatNode, out: TfBuilder): boolean {
  return node.inputs.some((input) => {
    const value = out.value(input);
    return value.kind === 'node' && value.node.type.shape.includes('?');
  });
}

function foreignValues(node: FlatNode, out: TfBuilder, outputCount: number): Value[] {
  if (outputCount <= 1) return [foreign(node, out)];
  const whole = foreign(node, out);
  return Array.from({ length: outputCount }, (_, index) => {
    const { dtype, shape } = outputType(node, index);
    const attributes = { index, outputDtype: dtype, outputShape: shape };
    return { kind: 'node', node: out.graph.add('pick', [whole.node], attributes, `${node.name}:${index}`) };
  });
}

/** Carries a node as it is. Inputs that are shapes of the run have no node and are left out. */
function foreign(node: FlatNode, out: TfBuilder): Value & { readonly kind: 'node' } {
  const inputs = node.inputs
    .map((input) => out.nodeOf(out.value(input), input.node.name))
    .filter((input) => input !== null);
  const { dtype, shape } = outputType(node, 0);
  const attributes: Record<string, Attr> = { op: node.foreignOp ?? node.op, outputDtype: dtype, outputShape: shape };
  for (const name of node.attributes.names) {
    const value = node.attributes.plain(name);
    if (value !== undefined && !(name in attributes)) attributes[name] = value;
  }
  return { kind: 'node', node: out.graph.add('foreign', inputs, attributes, node.name) };
}

/** Attributes that tell the type of a node's output, the most telling one first. */
const TYPE_ATTRIBUTES = ['dtype', 'DstT', 'out_type', 'Tout', 'T'];

function outputType({ attributes }: FlatNode, index: number): { dtype: DType; shape: Shape } {
  const types = TYPE_ATTRIBUTES.map((name) => tfDtypeOf(attributes.type(name)));
  const shape = attributes.shapes('_output_shapes')[index];
  return {
    dtype: types.find((type) => type !== undefined) ?? 'f32',
    shape: shape?.map((dim) => (dim === -1 ? '?' : dim)) ?? UNKNOWN_SHAPE,
  };
}
