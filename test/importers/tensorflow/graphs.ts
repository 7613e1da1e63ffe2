import type { TfAttributes, TfFunction, TfNode, TfPort, TfTensor } from '../../../src/formats/graphdef.ts';
import { importTfGraph } from '../../../src/importers/tensorflow/import.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { integerTensor, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';

/** types.proto */
export const FLOAT = 1;
export const INT32 = 3;

type Value = number | boolean | string | Tensor | readonly number[] | readonly string[];

/** Attributes as a file would have them; a type is its number, a shape a list. */
export interface Attributes {
  readonly [name: string]: Value;
}

function attributes(values: Attributes): TfAttributes {
  const list = <T>(name: string) => (Array.isArray(values[name]) ? (values[name] as readonly T[]) : []);
  return {
    names: Object.keys(values),
    plain: (name) => values[name] as string | number | boolean | readonly number[] | undefined,
    int: (name) => Number(values[name] ?? 0),
    float: (name) => Number(values[name] ?? 0),
    bool: (name) => values[name] === true,
    text: (name) => String(values[name] ?? ''),
    type: (name) => Number(values[name] ?? 0),
    shape: (name) => (values[name] === undefined ? undefined : list<number>(name)),
    ints: (name) => list<number>(name),
    texts: (name) => list<string>(name),
    shapes: (name) => (values[name] === undefined ? [] : [list<number>(name)]),
    functionName: (name) => String(values[name] ?? ''),
    tensor: (name) => tfTensor(values[name]),
  };
}

function tfTensor(value: Value | undefined): TfTensor | undefined {
  if (typeof value !== 'object' || Array.isArray(value)) return undefined;
  const tensor = value as Tensor;
  return { type: 0, shape: tensor.shape, tensor, texts: () => [] };
}

export function node(name: string, op: string, inputs: readonly string[] = [], values: Attributes = {}): TfNode {
  return { name, op, inputs, attributes: attributes(values) };
}

/** A placeholder; -1 is an open size. */
export function placeholder(name: string, shape: readonly number[], dtype = FLOAT): TfNode {
  return node(name, 'Placeholder', [], { dtype, shape });
}

export function integers(name: string, values: readonly number[] | number): TfNode {
  const value = typeof values === 'number' ? integerTensor('i32', [values], []) : integerTensor('i32', values);
  return node(name, 'Const', [], { value, dtype: INT32 });
}

/** 0, 1, 2, … in a shape, or the given values. */
export function floats(name: string, shape: readonly number[], values?: readonly number[]): TfNode {
  const size = shape.reduce((total, dim) => total * dim, 1);
  const data = Float32Array.from(values ?? Array.from({ length: size }, (_, i) => i));
  return node(name, 'Const', [], { value: tensorOf('f32', shape, data), dtype: FLOAT });
}

export function tfFunction(
  name: string,
  inputs: readonly string[],
  nodes: readonly TfNode[],
  returns: { readonly [output: string]: string },
): TfFunction {
  return { name, inputs, nodes, outputs: Object.keys(returns), returns: new Map(Object.entries(returns)) };
}

export interface Options {
  readonly functions?: readonly TfFunction[];
  readonly inputs?: readonly TfPort[];
  readonly outputs?: readonly TfPort[];
}

/** Imports nodes as a file would give them. */
export function importNodes(nodes: readonly TfNode[], { functions = [], inputs, outputs }: Options = {}): Graph {
  const graph = { nodes, functions: new Map(functions.map((each) => [each.name, each])) };
  return importTfGraph({
    file: 'graph.pb',
    graph,
    inputs,
    outputs,
    tensor: (constant) => constant.attributes.tensor('value')?.tensor,
  });
}
