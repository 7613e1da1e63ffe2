import onnxProto from 'onnx-proto';
import { ONNX_DTYPES } from '../../../src/formats/onnx.ts';
import { decodeOnnx } from '../../../src/formats/onnx-decode.ts';
import { importOnnx } from '../../../src/importers/onnx/import.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import type { Shape } from '../../../src/ir/shape.ts';
import type { DType, Tensor } from '../../../src/ir/tensor.ts';
import { memoryFile } from '../../formats/memory-file.ts';

const { onnx } = onnxProto;

export type ModelProto = onnxProto.onnx.IModelProto;

/** An attribute by how ONNX stores it: `{ i: 1 }`, `{ f: 0.5 }`, `{ s: 'tanh' }`, `{ ints: [0, 1] }`, `{ t: tensor }`. */
export type AttributeSpec =
  | { readonly i: number }
  | { readonly f: number }
  | { readonly s: string }
  | { readonly ints: readonly number[] }
  | { readonly t: Tensor }
  | { readonly g: BranchSpec };

/** A graph inside a node, which reads values around it. */
export interface BranchSpec {
  readonly nodes: readonly NodeSpec[];
  readonly outputs: readonly string[];
  readonly constants?: { readonly [name: string]: Tensor };
}

export interface NodeSpec {
  /** With the domain in front where it is not ONNX's own: `com.microsoft::Gelu`. */
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: { readonly [name: string]: AttributeSpec };
}

export interface ModelSpec {
  readonly opset: number;
  readonly inputs: { readonly [name: string]: { readonly dtype: DType; readonly shape: Shape } };
  readonly constants?: { readonly [name: string]: Tensor };
  readonly nodes: readonly NodeSpec[];
  readonly outputs: readonly string[];
  readonly functions?: onnxProto.onnx.IFunctionProto[];
}

export function modelProto(spec: ModelSpec): ModelProto {
  return {
    irVersion: 8,
    producerName: 'test',
    opsetImport: [
      { domain: '', version: spec.opset },
      { domain: 'com.microsoft', version: 1 },
      { domain: 'test', version: 1 },
    ],
    functions: spec.functions ?? [],
    graph: {
      name: 'graph',
      input: Object.entries(spec.inputs).map(([name, { dtype, shape }]) => ({
        name,
        type: { tensorType: { elemType: ONNX_DTYPES[dtype], shape: { dim: shape.map(dimProto) } } },
      })),
      output: spec.outputs.map((name) => ({ name, type: { tensorType: { elemType: ONNX_DTYPES.f32 } } })),
      initializer: Object.entries(spec.constants ?? {}).map(([name, tensor]) => tensorProto(name, tensor)),
      node: spec.nodes.map(nodeProto),
    },
  };
}

export function encodeModel(model: ModelProto): Uint8Array {
  return onnx.ModelProto.encode(model).finish();
}

/** The graph of a model that no file holds. */
export function importBytes(
  bytes: Uint8Array,
  siblings: ReadonlyMap<string, Uint8Array> = new Map(),
  note?: (text: string) => void,
): Graph {
  const file = memoryFile('model.onnx', bytes, siblings);
  return importOnnx(
    decodeOnnx(file, (name) => file.sibling(name)),
    file.path,
    note,
  );
}

export function nodeProto({ op, inputs, outputs, attributes = {} }: NodeSpec): onnxProto.onnx.INodeProto {
  const [name = '', domain = ''] = op.split('::').reverse();
  return {
    name: `${name}_${outputs[0]}`,
    opType: name,
    domain,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([key, value]) => attributeProto(key, value)),
  };
}

function attributeProto(name: string, value: AttributeSpec): onnxProto.onnx.IAttributeProto {
  const { AttributeType } = onnx.AttributeProto;
  if ('i' in value) return { name, i: value.i, type: AttributeType.INT };
  if ('f' in value) return { name, f: value.f, type: AttributeType.FLOAT };
  if ('s' in value) return { name, s: new TextEncoder().encode(value.s), type: AttributeType.STRING };
  if ('ints' in value) return { name, ints: [...value.ints], type: AttributeType.INTS };
  if ('g' in value) return { name, g: branchProto(name, value.g), type: AttributeType.GRAPH };
  return { name, t: tensorProto('value', value.t), type: AttributeType.TENSOR };
}

function branchProto(name: string, { nodes, outputs, constants = {} }: BranchSpec): onnxProto.onnx.IGraphProto {
  return {
    name,
    node: nodes.map(nodeProto),
    output: outputs.map((output) => ({ name: output })),
    initializer: Object.entries(constants).map(([key, tensor]) => tensorProto(key, tensor)),
  };
}

export function tensorProto(name: string, { dtype, shape, bytes }: Tensor): onnxProto.onnx.ITensorProto {
  return { name, dims: [...shape], dataType: ONNX_DTYPES[dtype], rawData: bytes() };
}

function dimProto(dim: number | string) {
  return typeof dim === 'number' ? { dimValue: dim } : { dimParam: dim };
}
